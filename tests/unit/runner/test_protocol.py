"""Lines between daemon and runner: what one writes the other reads, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.runner.protocol import (
    NotUnderstood,
    Order,
    Outcome,
    Report,
    Why,
    read_order,
    read_report,
    write_order,
    write_report,
)


@given(st.text(), st.text(), st.integers(0, 1 << 40))
def test_an_order_is_one_line_and_is_read_as_it_was_written(name: str, id_: str, size: int) -> None:
    line = write_order(Order(name, id_, size))
    assert line.count(b"\n") == 1
    assert read_order(line[:-1]) == Order(name, id_, size)


@given(st.binary())
def test_output_follows_its_line_byte_for_byte(output: bytes) -> None:
    line, _, rest = write_report(Outcome(None, "", output, 0.5)).partition(b"\n")
    assert rest == output
    assert read_report(line) == Report(None, "", len(output), 0.5)


@given(st.sampled_from(Why), st.text())
def test_a_failure_carries_its_reason_and_no_output(why: Why, reason: str) -> None:
    line, _, rest = write_report(Outcome(why, reason, b"", 1.0)).partition(b"\n")
    assert rest == b""
    assert read_report(line) == Report(why, reason, 0, 1.0)


def test_a_failure_of_a_newer_kind_is_a_failure() -> None:
    line = json.dumps({"v": 1, "ok": False, "why": "eclipse", "reason": "dark"}).encode()
    assert read_report(line) == Report(Why.EXIT, "dark", 0, 0.0)


@pytest.mark.parametrize(
    "line",
    [b"", b"\xff", b"[]", b"{}", b'{"v":1}', b'{"v":2,"run":"a","id":"b","bytes":0}',
     b'{"v":1,"run":1,"id":"b","bytes":0}', b'{"v":1,"run":"a","id":"b","bytes":true}',
     b'{"v":1,"run":"a","id":"b","bytes":-1}'],
)  # fmt: skip
def test_what_is_no_line_of_ours_is_refused(line: bytes) -> None:
    with pytest.raises(NotUnderstood):
        read_order(line)
    with pytest.raises(NotUnderstood):
        read_report(line)
