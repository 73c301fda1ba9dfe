"""What came into the inbox in this turn: written with one statement, repeats found out by it.

One statement for all takes half the time of one for each. Not for limits (``inbox``).
"""

from __future__ import annotations

import time
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from fleet_agent.bus.message import Message
from fleet_agent.bus.streams import OutOfOrder, Place, Streams
from fleet_agent.bus.turn import Turn

_INSERT: Final = (
    "INSERT INTO inbox (sender, id, lane, received_at, body, hops, in_reply_to, type, forgettable) "
    "VALUES (?, ?, ?, ?, ?, ?, nullif(?, ''), ?, nullif(?, 0)) "
    "ON CONFLICT (sender, id) DO NOTHING"
)
_FOUND: Final = "SELECT seq, body FROM inbox WHERE sender = ? AND id = ?"
_LAST: Final = "SELECT max(seq) FROM inbox"
_DELETE: Final = "DELETE FROM inbox WHERE seq = ?"


class Outcome(Enum):
    """What became of one message, known after the commit."""

    ACCEPTED = auto()
    DUPLICATE = auto()  # the same (from, id) with the same bytes is here already
    CONFLICT = auto()  # the same (from, id) with other bytes


# A message that was committed, and its id: for who waits for messages.
Arrived = tuple[Message, str]


class Taken(NamedTuple):
    """One message that is to be written.

    ``ticket`` is where the turn keeps what is told of it (None: nobody waits), ``before`` how far
    the stream of its ``place`` had come.
    """

    message: Message
    id: str
    ticket: int | None
    place: Place | None
    before: int


class Intake:
    """The rows of one turn. All are taken for accepted until ``write`` finds otherwise."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._rows: list[tuple[Any, ...]] = []
        self._taken: list[Taken] = []

    def take(self, taken: Taken, lane: int, *, forgettable: bool) -> None:
        """Put a message behind the others. Raises TurnLost."""
        if not self._rows:
            self._turn.begin()
        message = taken.message
        # No bytes and no None: for each of them sqlite3 asks around for an adapter, 0.4 µs a time.
        self._rows.append((
            message.sender, taken.id, lane, time.time(), bytearray(message.raw), message.hops,
            message.in_reply_to or "", message.type, 1 if forgettable else 0,
        ))  # fmt: skip
        self._taken.append(taken)

    def forget(self) -> None:
        """The turn was undone."""
        self._rows, self._taken = [], []

    def write(self, streams: Streams) -> tuple[list[Arrived], list[Message]]:
        """Write what was taken: the messages (with their ids) that are new, and those that aren't.

        Raises TurnLost.
        """
        rows, taken = self._rows, self._taken
        if not rows:
            return [], []
        self._rows, self._taken = [], []
        written = self._turn.execute_many(_INSERT, rows)
        if written == len(rows):
            return [(one.message, one.id) for one in taken], []
        return self._sorted_out(rows, taken, written, streams)

    def _sorted_out(
        self, rows: list[tuple[Any, ...]], taken: list[Taken], written: int, streams: Streams
    ) -> tuple[list[Arrived], list[Message]]:
        """Some were here before: which, and what does that mean for those behind them?"""
        turn = self._turn
        before = turn.store.number(_LAST) - written  # rows are numbered one by one
        new: list[Arrived] = []
        known: list[Message] = []
        claimed: set[int] = set()
        high: dict[tuple[str, str], int] = {}  # streams in which something was refused
        for row, (message, id_, ticket, place, stood) in zip(rows, taken, strict=True):
            found = turn.read(_FOUND, (message.sender, id_))
            if not found:  # the one that was here has just been refused
                turn.execute(_INSERT, row)
                found = turn.read(_FOUND, (message.sender, id_))
            ((seq, body),) = found
            fresh = seq > before and seq not in claimed
            outcome: Outcome | OutOfOrder = Outcome.ACCEPTED
            if not fresh:
                # A body that was cleared away after its handling can't be compared any more.
                same = body in (message.raw, b"")
                outcome = Outcome.DUPLICATE if same else Outcome.CONFLICT
            if place is not None:
                stream = (place.sender, place.stream)
                if place.after > high.get(stream, place.after):
                    outcome = OutOfOrder(place, high[stream])
                elif outcome is Outcome.CONFLICT:
                    high.setdefault(stream, stood)
                elif stream in high:
                    high[stream] = place.number
            if outcome is Outcome.ACCEPTED:
                claimed.add(seq)
                new.append((message, id_))
                continue
            known.append(message)
            if fresh:
                turn.execute(_DELETE, (seq,))
            if ticket is not None:
                turn.correct(ticket, outcome)
        for stream, reached in high.items():
            streams.set_back(stream, reached)
        return new, known
