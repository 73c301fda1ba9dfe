"""A log line stays one line, whatever a forge, a node or a stranger made part of it."""

from __future__ import annotations

import logging

import pytest

from fleet_agent.cli.logs import Allowance, OneLine

HOSTILE = "a\nfleet-deploy: deploy 9: verified\r\x1b[2J\x9b1m\u202e\ud800"


def record(text: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("fleet_agent.hook", logging.INFO, "", 0, text, values, None)


def test_what_comes_from_elsewhere_begins_no_line_and_steers_no_terminal() -> None:
    said = OneLine("%(message)s").format(record("gitea push %s: refused", HOSTILE))
    assert said.isprintable()
    assert said.startswith(r"gitea push a\nfleet-deploy")
    assert said.endswith(": refused")


def test_ordinary_sentences_stay_as_they_are() -> None:
    said = OneLine("%(message)s").format(record("deploy %d: café 🧙 is verified", 7))
    assert said == "deploy 7: café 🧙 is verified"


def test_a_traceback_keeps_its_lines() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        _ = 1 // 0
    broken = record("a handler broke")
    broken.exc_info = (raised.type, raised.value, raised.tb)
    assert "\nTraceback (most recent call last):\n" in OneLine("%(message)s").format(broken)


def refusal() -> logging.LogRecord:
    said = record("ezra: refused %s", "POST /message")
    said.name = "fleet_agent.audit"
    return said


def test_refusals_of_strangers_are_written_up_to_a_measure_and_the_rest_is_counted() -> None:
    now = 0.0
    allowance = Allowance(lambda: now)
    assert sum(allowance.filter(refusal()) for _ in range(5000)) == 1000
    assert allowance.filter(record("deploy 7: verified")), "what is no refusal is always written"
    now = 1.0
    first = refusal()
    assert allowance.filter(first)
    assert first.getMessage().endswith("(4000 more refusals were not written)")
    assert sum(allowance.filter(refusal()) for _ in range(1000)) == 49
