"""Those who wait for messages of the inbox: each is answered when one comes, or its time is over.

One whose connection went away is forgotten and gets nothing. Not for reading requests (``pull``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from fleet_agent.bus import timestamp
from fleet_agent.bus.leases import Leased, LeaseOver, Leases
from fleet_agent.bus.turn import Turn, TurnLost
from fleet_agent.errors import FleetError, TryAgain
from fleet_agent.httpd.answer import problem
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.loop import Loop, Timer
from fleet_agent.httpd.types import Response
from fleet_agent.limits import Limits

_SHARE_OF_ANSWER: Final = 0.8


class TooManyWaiters(TryAgain):
    """So many wait already that one more may not."""

    http_status = 429
    title = "too many wait"


class Wish(NamedTuple):
    """What is asked for: how many at most, for how many seconds, of which types (None: all that
    no handler of the daemon's gets)."""

    limit: int
    seconds: float | None
    types: frozenset[str] | None


class _Waiter(NamedTuple):
    wish: Wish
    answer: Deferred
    timer: Timer


class Waiters:
    """All who wait at one inbox, first come, first served.

    ``dispatched`` says of a type whether the daemon itself hands its messages to a handler: they
    are nobody's to pull.
    """

    def __init__(
        self,
        loop: Loop,
        turn: Turn,
        leases: Leases,
        limits: Limits,
        *,
        dispatched: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._loop = loop
        self._turn = turn
        self._leases = leases
        self._dispatched = dispatched
        self._waiting: dict[Deferred, _Waiter] = {}
        self._serving = False
        self._ended = False
        self.limits = limits
        leases.on_ready(self._ready)

    @property
    def count(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def take(self, wish: Wish, wait: float) -> Response | Deferred:
        """What there is, answered after the commit; where there is nothing, wait for it.

        Raises TooManyWaiters.
        """
        answer = Deferred()
        if self._lease_for(wish, answer):
            return answer
        wait = min(
            wait,
            self.limits["inbox_poll_seconds"],
            self.limits["http_answer_seconds"] * _SHARE_OF_ANSWER,
        )
        if wait <= 0 or self._ended:
            return _response(())
        if len(self._waiting) >= self.limits.whole("inbox_waiters"):
            raise TooManyWaiters(
                f"{len(self._waiting)} requests wait for messages already", where="inbox",
                mend="ask with fewer connections, or again later",
            )  # fmt: skip
        timer = self._loop.call_later(wait, lambda: self._answer_nothing(answer))
        self._waiting[answer] = _Waiter(wish, answer, timer)
        answer.on_cancel(lambda: self._answer_nothing(answer))
        return answer

    def end(self) -> None:
        """The daemon ends: answer all who wait, and let nobody wait any more."""
        self._ended = True
        for answer in list(self._waiting):
            self._answer_nothing(answer)

    # Within.

    def _ready(self) -> None:
        if self._waiting and not self._serving:
            self._serving = True
            self._loop.call_next_turn(self._serve)

    def _serve(self) -> None:
        self._serving = False
        in_vain: set[frozenset[str] | None] = set()
        for waiter in list(self._waiting.values()):
            if waiter.wish.types in in_vain:
                continue
            if self._lease_for(waiter.wish, waiter.answer):
                self._forget(waiter.answer)
            else:
                in_vain.add(waiter.wish.types)

    def _lease_for(self, wish: Wish, answer: Deferred) -> bool:
        """Lease what there is and answer with it after the commit; whether there is an answer."""
        types, dispatched = wish.types, self._dispatched

        def wanted(type_: str) -> bool:
            return (types is None or type_ in types) and not dispatched(type_)

        leased: tuple[Leased, ...] | None
        try:
            leased = self._leases.lease(limit=wish.limit, seconds=wish.seconds, only=wanted)
        except TurnLost:
            leased = None  # never told: the turn's error is
        if leased == ():
            return False
        self._turn.tell(lambda _, result: self._told(answer, result), "", leased)
        return True

    def _told(self, answer: Deferred, result: tuple[Leased, ...] | FleetError) -> None:
        if isinstance(result, FleetError):
            answer.resolve(problem(result))
        elif answer.cancelled:
            # In the next turn: what is written here would wait for a commit that may not come.
            self._loop.call_next_turn(lambda: self._put_back(result))
            answer.resolve(_response(()))
        else:
            answer.resolve(_response(result))

    def _put_back(self, leased: tuple[Leased, ...]) -> None:
        for one in leased:
            try:
                self._leases.release(one.receipt)
            except (TurnLost, LeaseOver):
                return  # its lease ends by time

    def _answer_nothing(self, answer: Deferred) -> None:
        self._forget(answer)
        answer.resolve(_response(()))

    def _forget(self, answer: Deferred) -> None:
        waiter = self._waiting.pop(answer, None)
        if waiter is not None:
            waiter.timer.cancel()


def _response(leased: tuple[Leased, ...]) -> Response:
    """The messages byte for byte, each with what its lease is."""
    return Response(200, b'{"messages":[' + b",".join(map(_shown, leased)) + b"]}")


def _shown(one: Leased) -> bytes:
    # Ids and receipts are checked or made by us: nothing in them needs escaping.
    said: dict[str, Any] = {
        "id": one.id,
        "receipt": one.receipt,
        "received_at": timestamp.show(one.received_at),
        "leased_until": timestamp.show(one.leased_until),
    }
    words = "".join(f'"{name}":"{value}",' for name, value in said.items())
    return f'{{{words}"attempt":{one.attempt},"message":'.encode() + one.body + b"}"
