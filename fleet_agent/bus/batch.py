"""A batch between two daemons: a head line and messages out, one status a line back.

Pure. The head is part of the body, so that the signature covers it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from fleet_agent.bus import timestamp
from fleet_agent.bus.strictjson import parse_object
from fleet_agent.errors import FleetError, RequestError
from fleet_agent.signing import HEADER_TIMESTAMP

_HEAD_DEPTH: Final = 3
_STREAM_LENGTH: Final = 64
# What every JSON reader holds exactly, and far below what a database row does.
_LARGEST: Final = 2**53 - 1
# What another registry than the sender's may refuse for now: daemons of two releases meet in a
# deploy. 404: nobody is `to`, 421: another wizard is, 403: `from` is unknown.
_SETTLING: Final = frozenset({401, 403, 404, 421})
_AGAIN: Final = frozenset({408, 425, 429})
_BEHIND: Final = 412
_CLOCK_FIELDS: Final = ("timestamp", HEADER_TIMESTAMP)


class Head(NamedTuple):
    """Whose batch it is, and the places of its lines in the stream ``stream``."""

    sender: str
    receiver: str
    stream: str
    after: int
    numbers: tuple[int, ...]


class Kind(Enum):
    """What the receiver said of one line."""

    KEPT = auto()
    AGAIN = auto()  # not now
    BEHIND = auto()  # the one before it was not kept
    SETTLING = auto()  # its registry does not know us, or itself: so for a while, not for ever
    CLOCK = auto()  # our clock is ahead of its
    TOO_LARGE = auto()  # the batch; its lines may fit alone
    REFUSED = auto()  # never


class Verdict(NamedTuple):
    """One line's fate. ``ahead`` is by how many seconds our clock leads theirs (CLOCK
    only; less than 0: it is behind)."""

    kind: Kind
    reason: str = ""
    ahead: float = 0.0


class BadBatch(FleetError):  # noqa: N818 (it reads as what came)
    """The answer to a batch can't be understood; nothing is known about its lines."""

    retryable = True
    title = "the answer to a batch is broken"


KEPT: Final = Verdict(Kind.KEPT)


def write(head: Head, bodies: Sequence[bytes]) -> bytes:
    """The request's body."""
    value = {
        "v": 1,
        "from": head.sender,
        "to": head.receiver,
        "stream": head.stream,
        "after": head.after,
        "numbers": head.numbers,
    }
    first = json.dumps(value, separators=(",", ":")).encode()
    # A line break within a message can only be whitespace between its tokens.
    lines = [body if b"\n" not in body else body.replace(b"\n", b" ") for body in bodies]
    return b"\n".join([first, *lines, b""])


def read_head(line: bytes) -> Head:
    """The head of a batch that came in. Raises RequestError (400)."""
    value = parse_object(line, depth=_HEAD_DEPTH)
    try:
        head = Head(
            value["from"], value["to"], value["stream"], value["after"], tuple(value["numbers"])
        )
    except (KeyError, TypeError):
        raise _wrong("has not from, to, stream, after and numbers") from None
    if not all(isinstance(text, str) for text in head[:3]) or len(head.stream) > _STREAM_LENGTH:
        raise _wrong("has a name that is none")
    before = head.after
    for number in (head.after, *head.numbers):
        if type(number) is not int or not 0 <= number <= _LARGEST:
            raise _wrong("has a number that is none")
    for number in head.numbers:
        if number <= before:
            raise _wrong("has numbers that don't rise")
        before = number
    return head


def read_answer(status: int, body: bytes, count: int, now: float) -> list[Verdict]:
    """The verdicts on ``count`` lines; an answer that is one for all is repeated for each.

    ``now`` is our own time in Unix seconds. Raises BadBatch.
    """
    if status in (200, 202):
        return [KEPT] * count
    if status == 413:
        return [Verdict(Kind.TOO_LARGE, _reason(_object(body), status))] * count
    if status != 207:
        # The batch as a whole: keys, clocks and releases that don't fit yet are no fault of a
        # message, so it waits until its time is over.
        whole = _verdict(_object(body), status, now)
        return [whole if whole.kind is Kind.CLOCK else Verdict(Kind.AGAIN, whole.reason)] * count
    lines = body.splitlines()
    if len(lines) != count:
        raise BadBatch(f"{len(lines)} statuses for {count} messages")
    return [_line(_object(line), now) for line in lines]


def _line(value: dict[str, Any], now: float) -> Verdict:
    if value.get("status") in ("accepted", "duplicate"):
        return KEPT
    problem = value.get("problem")
    if not isinstance(problem, dict) or not isinstance(problem.get("status"), int):
        raise BadBatch(f"a status that says nothing: {ascii(value)[:200]}")
    return _verdict(problem, problem["status"], now)


def _verdict(problem: dict[str, Any], status: int, now: float) -> Verdict:
    reason = _reason(problem, status)
    theirs = problem.get("time")
    if isinstance(theirs, str | int) and problem.get("where") in _CLOCK_FIELDS:
        return Verdict(Kind.CLOCK, reason, _ahead(theirs, now))
    if status == _BEHIND:
        return Verdict(Kind.BEHIND, reason)
    if status in _AGAIN or status >= 500:
        return Verdict(Kind.AGAIN, reason)
    return Verdict(Kind.SETTLING if status in _SETTLING else Kind.REFUSED, reason)


def _reason(problem: dict[str, Any], status: int) -> str:
    said = str(problem.get("detail") or problem.get("title") or "no reason given")[:500]
    where = problem.get("where")
    return f"{status}, {where[:80]}: {said}" if isinstance(where, str) else f"{status}: {said}"


def _ahead(theirs: str | int, now: float) -> float:
    try:
        return now - (timestamp.parse(theirs) if isinstance(theirs, str) else theirs)
    except (ValueError, OverflowError):
        return 0.0


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _wrong(what: str) -> RequestError:
    return RequestError(
        f"the head of the batch {what}",
        where="line 1",
        mend="batches with a head are for daemons; others send application/x-ndjson",
    )
