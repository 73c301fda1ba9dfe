"""Decides about messages that have a handler: what its end means, what is answered, when again.

Pure. Not for running handlers (``runner``, ``httpd.exchange``) and not for leases (``handling``).
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from fleet_agent.bus import timestamp
from fleet_agent.bus.backoff import Schedule, wait
from fleet_agent.bus.message import Bounds, Message, check
from fleet_agent.errors import RequestError
from fleet_agent.limits import Limits
from fleet_agent.wire import HANDLER_FAILED, MessageType

_REASON_LENGTH: Final = 400


class Handled(NamedTuple):
    """A handler ended well. ``output`` is what it said; None: it will answer by itself, or not."""

    output: bytes | None


class Failed(NamedTuple):
    """A handler ran and did not handle it: this attempt is used up."""

    reason: str


class Away(NamedTuple):
    """Nothing that could handle it was there: nothing was tried."""

    reason: str


Result = Handled | Failed | Away


class Asked(NamedTuple):
    """The message that is handled, as far as an answer needs it."""

    id: str
    sender: str
    type: str


class Speaker(NamedTuple):
    """Who answers: the wizard, the answer's id, its time (Unix seconds), the bounds it keeps."""

    me: str
    id: str
    now: float
    bounds: Bounds


def answer(asked: Asked, result: Handled, speaker: Speaker) -> Message | Failed | None:
    """The response to ``asked``; None where there is none to send. Only a request is answered.

    What can't be sent as a payload is a failure of its handler.
    """
    if asked.type != MessageType.REQUEST or result.output is None:
        return None
    if not result.output.strip():
        return Failed("said nothing: a request's handler writes JSON, its answer")
    try:
        payload = json.loads(result.output, parse_constant=_no_constant)
    except RecursionError:
        return Failed("its output is nested too deeply")
    except ValueError as error:
        begins = ascii(result.output[:40].decode("utf-8", "replace"))
        return Failed(f"its output is not JSON ({error}), it begins with {begins}")
    return _response(asked, payload, speaker)


def apology(asked: Asked, reason: str, speaker: Speaker) -> Message | None:
    """What a request is answered when it is given up for good, so that nobody waits in vain."""
    if asked.type != MessageType.REQUEST:
        return None
    payload = {"error": HANDLER_FAILED, "message": asked.id, "reason": reason[:_REASON_LENGTH]}
    made = _response(asked, payload, speaker)
    return made if isinstance(made, Message) else None


def again_after(limits: Limits, attempt: int, dice: float) -> float:
    """Seconds until a message is handled again whose attempt number ``attempt`` failed."""
    schedule = Schedule(limits["handler_retry_first_seconds"], limits["handler_retry_most_seconds"])
    return wait(schedule, attempt, dice)


def _response(asked: Asked, payload: Any, speaker: Speaker) -> Message | Failed:
    value = {
        "from": speaker.me, "to": asked.sender, "type": MessageType.RESPONSE.value,
        "payload": payload, "timestamp": timestamp.show(speaker.now), "id": speaker.id,
        "in_reply_to": asked.id,
    }  # fmt: skip
    try:
        raw = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        return check(raw, now=speaker.now, bounds=speaker.bounds)
    except UnicodeEncodeError:
        return Failed("its answer has half a character (a lone surrogate)")
    except RequestError as error:
        return Failed(f"its answer can't be sent: {error}")


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")
