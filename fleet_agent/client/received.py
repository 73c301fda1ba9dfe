"""One message that the daemon has handed out, until it is settled or its lease ends."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from fleet_agent.client.values import Message

_REASON_LENGTH = 500


class Settling(Protocol):
    """What settles a message (``Client``)."""

    def ack(self, received: Received) -> None: ...
    def nack(self, received: Received, *, delay: float = 0.0, reason: str = "") -> bool: ...
    def extend(self, received: Received, seconds: float | None = None) -> None: ...


class Received:
    """A message and its lease: nobody else is given it before ``leased_until`` (RFC 3339).

    As a context it is acked at its end, and given back where an exception leaves it. ``attempt``
    is 1 the first time; ``receipt`` proves the lease.
    """

    __slots__ = ("_client", "attempt", "leased_until", "message", "receipt", "received_at")

    def __init__(self, client: Settling, value: Mapping[str, Any]) -> None:
        self._client = client
        self.message = Message.of({**value["message"], "id": value["id"]})
        self.receipt: str = value["receipt"]
        self.attempt: int = value["attempt"]
        self.received_at: str = value["received_at"]
        self.leased_until: str = value["leased_until"]

    @property
    def id(self) -> str:
        """The message's id."""
        return self.message.id

    def ack(self) -> None:
        """It is handled, for ever."""
        self._client.ack(self)

    def nack(self, *, delay: float = 0.0, reason: str = "") -> bool:
        """Give it back, to come again after ``delay`` seconds; False: it was the last attempt, and
        it is a dead letter now."""
        return self._client.nack(self, delay=delay, reason=reason)

    def extend(self, seconds: float | None = None) -> None:
        """Hold it for ``seconds`` from now on."""
        self._client.extend(self, seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if error is None:
            self.ack()
        else:
            self.nack(reason=f"{type(error).__name__}: {error}"[:_REASON_LENGTH])

    def __repr__(self) -> str:
        return f"Received({self.message!r}, attempt={self.attempt})"
