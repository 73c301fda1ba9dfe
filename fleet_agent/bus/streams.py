"""How far each stream of another daemon has come: repeats are known, and order is kept.

A stream is one sender's messages of one lane since one start of its daemon. Not for messages that
come without a place in a stream: their ids are known by the inbox itself.
"""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from fleet_agent.bus.turn import Turn
from fleet_agent.errors import RequestError

_CACHED: Final = 4096
_HIGH: Final = "SELECT high FROM stream WHERE sender = ? AND name = ?"
_STEP: Final = (
    "INSERT INTO stream (sender, name, high, at) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (sender, name) DO UPDATE SET high = excluded.high, at = excluded.at"
)


class Place(NamedTuple):
    """A message's place: its stream, its number, and the number that must be here before it.

    ``after`` is 0 where the sender has nothing under way before it.
    """

    sender: str
    stream: str
    after: int
    number: int


class OutOfOrder(RequestError):  # noqa: N818 (it reads as what is wrong)
    """The message before it is not here: it was refused, or it is still on its way."""

    title = "out of order"

    def __init__(self, place: Place, high: int) -> None:
        super().__init__(
            f"number {place.after} must come before {place.number}, and this stream is at {high}",
            status=412,
            where="after",
            mend="send what comes before it first",
        )


class Streams:
    """The high-water marks, written once a turn."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._high: dict[tuple[str, str], int] = {}
        self._moved: set[tuple[str, str]] = set()
        turn.before_commit(self._write)
        turn.on_undone(self._forget)

    def knows(self, place: Place) -> bool:
        """Whether this place was taken before. Raises OutOfOrder."""
        key = (place.sender, place.stream)
        high = self._high.get(key)
        if high is None:
            rows = self._turn.read(_HIGH, key)
            high = self._high[key] = rows[0][0] if rows else 0
        if place.number <= high:
            return True
        if place.after > high:
            raise OutOfOrder(place, high)
        return False

    def take(self, place: Place) -> int:
        """The message of ``place`` is written in this turn; how far the stream had come before."""
        key = (place.sender, place.stream)
        before = self._high.get(key, 0)
        self._high[key] = place.number
        self._moved.add(key)
        return before

    def set_back(self, stream: tuple[str, str], high: int) -> None:
        """What was taken behind ``high`` in this turn was refused after all."""
        self._high[stream] = high

    def _write(self) -> None:
        if not self._moved:
            return
        now = time.time()
        for key in self._moved:
            self._turn.execute(_STEP, (*key, self._high[key], now))
        self._moved.clear()
        if len(self._high) > _CACHED:
            self._high.clear()

    def _forget(self) -> None:
        self._high.clear()
        self._moved.clear()
