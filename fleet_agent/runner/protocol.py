"""What daemon and runner say to each other over the runner's socket. Pure.

One connection is one job: a line and the message's bytes go in, a line and the output's bytes come
back. A connection that the daemon closes before that ends the job.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, Final, NamedTuple

from fleet_agent.errors import RequestError

VERSION: Final = 1
# A line holds a name, an id and a reason at most.
LINE_BYTES: Final = 8 * 1024


class Why(StrEnum):
    """Why a job failed."""

    EXIT = "exit"  # another exit code than 0
    SIGNAL = "signal"  # ended by a signal that was not ours
    TIMEOUT = "timeout"
    OUTPUT = "output"  # wrote more than it may
    MEMORY = "memory"
    START = "start"  # could not be started
    UNKNOWN = "unknown"  # the release declares nothing of that name


class NotUnderstood(RequestError):  # noqa: N818 (it reads as what happened)
    """A line of the other side that is none."""

    title = "the runner's protocol was not understood"


class Order(NamedTuple):
    """What is to be run: the declared ``name``, for whose message, how many bytes follow."""

    name: str
    id: str
    size: int


class Report(NamedTuple):
    """How a job ended. ``why`` is None where it ended well; then ``size`` bytes follow."""

    why: Why | None
    reason: str
    size: int
    seconds: float


class Outcome(NamedTuple):
    """A job's end with its output; ``why`` and ``reason`` as in ``Report``."""

    why: Why | None
    reason: str
    output: bytes
    seconds: float


def write_order(order: Order) -> bytes:
    """The line that begins a job."""
    return _line({"run": order.name, "id": order.id, "bytes": order.size})


def read_order(line: bytes) -> Order:
    """Read such a line. Raises NotUnderstood."""
    value = _object(line)
    return Order(_text(value, "run"), _text(value, "id"), _whole(value, "bytes"))


def write_report(outcome: Outcome) -> bytes:
    """The line that ends a job, with the output behind it."""
    seconds = round(outcome.seconds, 4)
    if outcome.why is None:
        value = {"ok": True, "bytes": len(outcome.output), "seconds": seconds}
        return _line(value) + outcome.output
    return _line({"ok": False, "why": outcome.why, "reason": outcome.reason, "seconds": seconds})


def read_report(line: bytes) -> Report:
    """Read such a line. Raises NotUnderstood."""
    value = _object(line)
    seconds = value.get("seconds")
    passed = float(seconds) if isinstance(seconds, int | float) else 0.0
    if value.get("ok") is True:
        return Report(None, "", _whole(value, "bytes"), passed)
    try:
        why = Why(_text(value, "why"))
    except ValueError:
        why = Why.EXIT  # of a newer runner's words
    return Report(why, _text(value, "reason"), 0, passed)


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps({"v": VERSION, **value}).encode() + b"\n"


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict) or value.get("v") != VERSION:
        raise NotUnderstood("is no line of this protocol", where=ascii(line[:80]))
    return value


def _text(value: dict[str, Any], key: str) -> str:
    text = value.get(key)
    if not isinstance(text, str):
        raise NotUnderstood(f"has no text {key!r}", where=key)
    return text


def _whole(value: dict[str, Any], key: str) -> int:
    number = value.get(key)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise NotUnderstood(f"has no whole number {key!r}", where=key)
    return number
