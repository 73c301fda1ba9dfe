"""An answer that comes later. Made by a handler that must wait, resolved on the loop's thread.

Not for other threads: they go through ``Loop.call_soon_threadsafe``.
"""

from __future__ import annotations

from collections.abc import Callable

from fleet_agent.errors import IllegalMove
from fleet_agent.httpd.types import Response


class Deferred:
    """The place where an answer will be.

    ``cancelled`` turns true when the peer has left or the answer's time is over: work that only
    serves this answer can stop, and nothing should be given away (leased) to it. Resolve it all the
    same, at once where the work stops: until then its connection stays, for a peer that only closed
    its own direction still gets the answer.
    """

    __slots__ = ("_on_cancel", "_on_resolve", "cancelled", "response")

    def __init__(self) -> None:
        self.cancelled = False
        self.response: Response | None = None
        self._on_resolve: Callable[[Response], None] | None = None
        self._on_cancel: tuple[Callable[[], None], ...] = ()

    def resolve(self, response: Response) -> None:
        """Give the answer. Raises IllegalMove when there is one already (a bug of the handler)."""
        if self.response is not None:
            raise IllegalMove("answer", "resolved", "resolved")
        self.response = response
        self._on_cancel = ()
        call, self._on_resolve = self._on_resolve, None  # else each answer would be a cycle
        if call is not None:
            call(response)

    def on_cancel(self, call: Callable[[], None]) -> None:
        """Call ``call`` once when this is cancelled; at once if it is already."""
        if self.cancelled:
            call()
        elif self.response is None:
            self._on_cancel = (*self._on_cancel, call)

    # The connection's side.

    def on_resolve(self, call: Callable[[Response], None]) -> None:
        """Call ``call`` with the answer when it comes. For the connection that waits for it."""
        self._on_resolve = call

    def cancel(self) -> None:
        """Say that nobody waits any more. Nothing happens when it is resolved or cancelled."""
        if self.cancelled or self.response is not None:
            return
        self.cancelled = True
        calls, self._on_cancel = self._on_cancel, ()
        for call in calls:
            call()
