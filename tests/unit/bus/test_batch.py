"""The wire between daemons: heads, and what each answer means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.bus.batch import KEPT, BadBatch, Head, Kind, Verdict, read_answer, read_head, write
from fleet_agent.errors import FleetError, RequestError

HEAD = Head("ezra", "bezalel", "0123456789abcdef-0", 0, (1, 5, 6))
NOW = 1_000_000.0


def answer(*lines: Any) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def refused(status: int, **more: Any) -> dict[str, Any]:
    return {"status": "refused", "problem": {"status": status, "detail": "why", **more}}


def kinds(*lines: Any) -> list[Kind]:
    return [verdict.kind for verdict in read_answer(207, answer(*lines), len(lines), NOW)]


def test_a_batch_is_a_head_and_a_line_a_message() -> None:
    body = write(HEAD, [b'{"a":1}', b'{"b":\n 2}', b"{}"])
    lines = body.split(b"\n")
    assert read_head(lines[0]) == HEAD
    assert lines[1:] == [b'{"a":1}', b'{"b":  2}', b"{}", b""]


@pytest.mark.parametrize(
    "change",
    [{"from": None}, {"numbers": None}, {"numbers": [3, 3]}, {"numbers": [2, 1]}, {"after": 1},
     {"numbers": [0]}, {"numbers": ["1"]}, {"numbers": [1.0]}, {"numbers": [True]}, {"after": -1},
     {"numbers": [2**53]}, {"after": 2**63}, {"numbers": [1, 2**64 - 1]},
     {"stream": "x" * 65}, {"to": 7}, {"numbers": 7}],
)  # fmt: skip
def test_a_head_that_is_none_is_refused(change: dict[str, Any]) -> None:
    value = {"from": "ezra", "to": "bezalel", "stream": "s", "after": 0, "numbers": [1], **change}
    with pytest.raises(RequestError) as caught:
        read_head(json.dumps(value).encode())
    assert caught.value.http_status == 400
    assert caught.value.mend


@given(st.binary(max_size=200))
def test_any_bytes_as_a_head_are_a_head_or_refused(line: bytes) -> None:
    try:
        read_head(line)
    except RequestError:
        return
    raise AssertionError(line)


def test_all_kept_needs_no_reading() -> None:
    assert read_answer(202, b"whatever", 2, NOW) == [KEPT, KEPT]
    assert read_answer(200, b"", 1, NOW) == [KEPT]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ({"id": "a", "status": "accepted"}, Kind.KEPT),
        ({"id": "a", "status": "duplicate"}, Kind.KEPT),
        (refused(429), Kind.AGAIN),
        (refused(507), Kind.AGAIN),
        (refused(503), Kind.AGAIN),
        (refused(412), Kind.BEHIND),
        (refused(403), Kind.SETTLING),
        (refused(404), Kind.SETTLING),
        (refused(421), Kind.SETTLING),
        (refused(400), Kind.REFUSED),
        (refused(409), Kind.REFUSED),
        (refused(413), Kind.REFUSED),
        (refused(400, where="timestamp"), Kind.REFUSED),
        (refused(400, where="timestamp", time="1970-01-12T13:46:40Z"), Kind.CLOCK),
    ],
)
def test_what_a_line_means(line: dict[str, Any], kind: Kind) -> None:
    assert kinds({"id": "x", "status": "accepted"}, line) == [Kind.KEPT, kind]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 415, 429, 500, 503, 507])
def test_a_refusal_of_the_whole_is_no_messages_fault(status: int) -> None:
    said = json.dumps({"status": status, "detail": "why"}).encode()
    assert read_answer(status, said, 2, NOW) == [Verdict(Kind.AGAIN, f"{status}: why")] * 2
    assert read_answer(status, b"<html>", 1, NOW)[0].kind is Kind.AGAIN


def test_too_large_a_batch() -> None:
    assert [one.kind for one in read_answer(413, b"", 3, NOW)] == [Kind.TOO_LARGE] * 3


@pytest.mark.parametrize("time", ["1970-01-12T13:45:00Z", 999_900])
def test_a_clock_is_told_by_how_much(time: str | int) -> None:
    said = json.dumps({"status": 401, "where": "webhook-timestamp", "time": time}).encode()
    (verdict,) = read_answer(401, said, 1, NOW)
    assert (verdict.kind, verdict.ahead) == (Kind.CLOCK, 100)


@pytest.mark.parametrize(
    "body", [b"", answer({"id": "a", "status": "accepted"}), b"{\n[]\n", answer({}, {}),
             answer(refused("x"), {"status": "refused", "problem": 7})],  # type: ignore[arg-type]
)  # fmt: skip
def test_an_answer_that_says_nothing_leaves_all_unknown(body: bytes) -> None:
    with pytest.raises(BadBatch):
        read_answer(207, body, 2, NOW)


@given(st.integers(100, 599), st.binary(max_size=300), st.integers(1, 3))
def test_any_answer_is_verdicts_or_bad(status: int, body: bytes, count: int) -> None:
    try:
        assert len(read_answer(status, body, count, NOW)) == count
    except FleetError as error:
        assert isinstance(error, BadBatch)
