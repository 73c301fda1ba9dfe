"""When a connection is overdue, and what is said then. Pure: times in, verdict out."""

from __future__ import annotations

from typing import NamedTuple

from fleet_agent.httpd.reader import Stage
from fleet_agent.httpd.refusal import Refusal
from fleet_agent.limits import Limits


class Deadlines(NamedTuple):
    """The limits of a connection's life, in seconds."""

    header: float
    body: float
    idle: float
    write: float
    answer: float
    linger: float

    @classmethod
    def of(cls, limits: Limits) -> Deadlines:
        """The deadlines that ``limits`` says."""
        return cls(
            limits["http_header_seconds"],
            limits["http_body_seconds"],
            limits["http_idle_seconds"],
            limits["http_write_seconds"],
            limits["http_answer_seconds"],
            limits["http_linger_seconds"],
        )

    @property
    def grain(self) -> float:
        """How often to look, in seconds: a quarter of the shortest, within reason."""
        return min(max(min(self) / 4, 0.02), 0.5)


class Times(NamedTuple):
    """A connection at one moment; times are monotonic seconds, None: does not apply."""

    stage: Stage
    stage_since: float
    unsent_since: float | None  # bytes wait to be taken
    asked_since: float | None  # the oldest request without an answer
    served: bool  # it has had an answer before
    ended_since: float | None  # all is said, waiting for the peer to close


class Close(NamedTuple):
    """Close it; ``why`` is for the log."""

    why: str


def overdue(times: Times, deadlines: Deadlines, now: float) -> Close | Refusal | None:
    """What to do about a connection: nothing, say a refusal and end, or just close."""
    stage, since, unsent, asked, served, ended = times
    if ended is not None:
        return Close("the peer did not close") if now - ended >= deadlines.linger else None
    if unsent is not None:
        return (
            Close("the peer does not take its answer") if now - unsent >= deadlines.write else None
        )
    if asked is not None:
        if now - asked < deadlines.answer:
            return None
        return Refusal(503, f"no answer within {deadlines.answer:g} s", "try again")
    if stage is Stage.HEAD and now - since >= deadlines.header:
        return Refusal(408, f"no whole header within {deadlines.header:g} s")
    if stage is Stage.BODY and now - since >= deadlines.body:
        return Refusal(408, f"no whole body within {deadlines.body:g} s")
    if stage is Stage.NOTHING and now - since >= (deadlines.idle if served else deadlines.header):
        return Close("idle")
    return None
