"""A log line stays one line, whatever a forge, a node or a stranger made part of it."""

from __future__ import annotations

import logging

import pytest

from fleet_agent.cli.logs import OneLine

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
