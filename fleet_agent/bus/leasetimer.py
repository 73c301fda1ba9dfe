"""Rings when a lease ends or a delay is over. Not for what happens then (``leases``)."""

from __future__ import annotations

from typing import Final

from fleet_agent.bus.leases import Leases
from fleet_agent.bus.turn import Turn, TurnLost
from fleet_agent.httpd.loop import Loop, Timer

# Also where nothing is due: a turn that was undone, or a clock that jumped, changes what is.
_TICK_SECONDS: Final = 1.0


class LeaseTimer:
    """One timer for all leases."""

    def __init__(self, loop: Loop, turn: Turn, leases: Leases) -> None:
        self._loop = loop
        self._leases = leases
        self._timer: Timer | None = None
        self._set_for = float("inf")  # Unix seconds, as `soonest`
        turn.on_commit(self._look)

    def start(self) -> None:
        """Ring from now on."""
        self._wait()

    def _look(self) -> None:
        """A lease that ends before the one that is waited for."""
        if self._leases.soonest < self._set_for and self._timer is not None:
            self._timer.cancel()
            self._wait()

    def _wait(self) -> None:
        self._set_for = self._leases.soonest
        self._timer = self._loop.call_later(min(self._seconds(), _TICK_SECONDS), self._ring)

    def _seconds(self) -> float:
        try:
            return self._leases.due()
        except TurnLost:
            return _TICK_SECONDS

    def _ring(self) -> None:
        try:
            if self._leases.due() == 0:
                self._leases.ring()
        except TurnLost:
            pass  # the next tick tries again
        self._wait()
