"""What an agent gets to see: messages, what was sent, and why there is no response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fleet_agent.errors import FleetError, TryAgain


class NoResponse(TryAgain):
    """Nobody answered in time. The request itself is not lost; ``id`` names it."""

    title = "no response yet"

    def __init__(self, what: str, id_: str) -> None:
        super().__init__(what, where=id_, mend=f"fleet-agent message {id_} tells where it is")
        self.id = id_


class GivenUp(FleetError):  # noqa: N818 (it reads as what happened)
    """A message could not be delivered and is a dead letter now."""

    title = "a dead letter"


class NotHandled(FleetError):  # noqa: N818
    """Who was asked gave the request up: its handler failed as often as it may."""

    title = "not handled"


class Sent(NamedTuple):
    """A message that is on disk. ``status`` is ``accepted``, or ``duplicate`` for a repeat."""

    id: str
    status: str


class Message(NamedTuple):
    """A message as an agent sees it."""

    sender: str
    to: str
    type: str
    payload: Any
    id: str
    in_reply_to: str | None
    hops: int

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Message:
        """The message in an envelope."""
        return cls(
            value["from"], value["to"], value["type"], value["payload"], value.get("id", ""),
            value.get("in_reply_to"), value.get("hops", 0),
        )  # fmt: skip
