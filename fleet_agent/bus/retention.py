"""Keeps the file bounded: clears away what is settled and old, a little at a time.

What is cleared from the inbox is remembered longer than any sender may retry. Freed pages are
used again; the file does not shrink. Not for what waits: that is refused at the door instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from fleet_agent.bus.compaction import Compaction
from fleet_agent.bus.turn import Turn, TurnLost
from fleet_agent.httpd.loop import Loop
from fleet_agent.limits import Limits

_ROWS_A_STEP: Final = 500
_REST_SECONDS: Final = 10.0
_BUSY_SECONDS: Final = 0.05
# Clocks differ, and a retry of the last second takes its time.
_MARGIN_SECONDS: Final = 86400.0
# Over this share of the file's limit, what was delivered is forgotten before its time, and what is
# settled takes less room (``compaction``).
_CROWDED: Final = 0.5

_SETTLED: Final = (
    "SELECT number, letter FROM delivery WHERE state IN (1, 3) AND settled_at < ? "
    "ORDER BY settled_at LIMIT ?"
)
_LETTER: Final = (
    "DELETE FROM letter WHERE number = ? "
    "AND NOT EXISTS (SELECT 1 FROM delivery WHERE letter = letter.number)"
)
_HANDLED: Final = (
    "DELETE FROM inbox WHERE seq IN "
    "(SELECT seq FROM inbox WHERE state >= 2 AND settled_at < ? ORDER BY settled_at LIMIT ?)"
)
_COUNT_HANDLED: Final = (
    "SELECT count(*) FROM (SELECT 1 FROM inbox WHERE state >= 2 AND settled_at < ? LIMIT ?)"
)
_STREAMS: Final = "DELETE FROM stream WHERE at < ?"


class Retention:
    """Clears one wizard's boxes."""

    def __init__(
        self, loop: Loop, turn: Turn, limits: Limits, *, now: Callable[[], float] = time.time
    ) -> None:
        self._loop = loop
        self._turn = turn
        self._now = now
        self._compaction = Compaction(turn)
        self.limits = limits

    def start(self) -> None:
        """Clear now and then, from now on; faster while there is much."""
        try:
            more = self.step(self._now())
        except TurnLost:
            more = False  # the next step tries again
        self._loop.call_later(_BUSY_SECONDS if more else _REST_SECONDS, self.start)

    def step(self, now: float) -> bool:
        """Clear a little; whether there may be more. Raises TurnLost."""
        crowded = self._turn.bytes > self.limits["inbox_bytes"] * _CROWDED
        more = self._sent(now, crowded=crowded) | self._got(now)
        if crowded:
            more |= self._compaction.step(now, _ROWS_A_STEP)
        self._turn.freed()
        return more

    def _sent(self, now: float, *, crowded: bool) -> bool:
        before = now if crowded else now - self.limits["outbox_keep_seconds"]
        rows = self._turn.read(_SETTLED, (before, _ROWS_A_STEP))
        for number, _ in rows:
            self._turn.execute("DELETE FROM delivery WHERE number = ?", (number,))
        for letter in {letter for _, letter in rows}:
            self._turn.execute(_LETTER, (letter,))
        return len(rows) == _ROWS_A_STEP

    def _got(self, now: float) -> bool:
        before = now - self.limits["message_ttl_seconds"] - _MARGIN_SECONDS
        count = self._turn.read(
            _COUNT_HANDLED,
            (before, _ROWS_A_STEP),
        )[0][0]
        if count:
            self._turn.execute(_HANDLED, (before, _ROWS_A_STEP))
        if self._turn.read("SELECT 1 FROM stream WHERE at < ? LIMIT 1", (before,)):
            self._turn.execute(_STREAMS, (before,))
        return bool(count == _ROWS_A_STEP)
