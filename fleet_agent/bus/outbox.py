"""The durable outbox: what the local agent sent, one delivery for each receiver.

Not for sending (``delivery``), not for dead letters that a person looks at (``deadletters``).
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable
from os import urandom
from typing import Final, NamedTuple

from fleet_agent.bus import stamp
from fleet_agent.bus.ids import Ids
from fleet_agent.bus.inbox import BoxFull
from fleet_agent.bus.intake import Outcome
from fleet_agent.bus.life import Sent
from fleet_agent.bus.message import Message
from fleet_agent.bus.turn import Done, Turn, TurnLost
from fleet_agent.limits import Limits
from fleet_agent.wire import MessageType

# How many deliveries of one lane are looked at, at most, at a time.
ROWS: Final = 512
# What a letter and one delivery cost beside the body, with their indexes.
_LETTER_BYTES: Final = 120
_DELIVERY_BYTES: Final = 140
# The inbox may use the rest: a receiver that is away must not keep others' messages out.
_SHARE_OF_FILE: Final = 0.8

_LETTER: Final = (
    "INSERT INTO letter (id, accepted_at, body) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING"
)
_DELIVERY: Final = (
    "INSERT INTO delivery (number, letter, receiver, lane, expires_at) VALUES (?, ?, ?, ?, ?)"
)
_NEXT: Final = (
    "SELECT d.number, d.expires_at, l.id, l.body FROM delivery d JOIN letter l "
    "ON l.number = d.letter WHERE d.state = 0 AND d.receiver = ? AND d.lane = ? AND d.number > ? "
    "ORDER BY d.number LIMIT ?"
)
_SETTLE: Final = (
    "UPDATE delivery SET state = ?, settled_at = ?, reason = ? WHERE state = 0 AND receiver = ? "
    "AND lane = ? AND number BETWEEN ? AND ?"
)
_EXPIRED: Final = (
    "SELECT d.number, d.receiver, d.lane, l.id FROM delivery d JOIN letter l "
    "ON l.number = d.letter WHERE d.state = 0 AND d.expires_at <= ? ORDER BY d.expires_at LIMIT ?"
)
_WAITING: Final = "SELECT receiver, count(*) FROM delivery WHERE state = 0 GROUP BY receiver"


class Row(NamedTuple):
    """One delivery that waits: its number, when it is too late (Unix seconds), id and body."""

    number: int
    expires_at: float
    id: str
    body: bytes


class Late(NamedTuple):
    """One delivery whose time is over."""

    number: int
    receiver: str
    lane: int
    id: str


class Waiting(NamedTuple):
    """What was put in for one receiver and lane and committed."""

    receiver: str
    lane: int
    row: Row


# Tells the local agent that a message is given up: its id, the receiver, why.
Tell = Callable[[str, str, str], None]


class Outbox:
    """Takes messages into this turn's transaction, and knows what waits for whom.

    ``tell`` is called within the transaction that gives a delivery up; lives are reckoned by
    ``now`` (Unix seconds; ``steady``'s, which does not jump).
    """

    def __init__(
        self,
        turn: Turn,
        limits: Limits,
        *,
        ids: Ids,
        tell: Tell,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._turn = turn
        self._now = now
        self._ids = ids
        self._tell = tell
        self._fresh: list[Waiting] = []
        self._listeners: list[Callable[[list[Waiting]], None]] = []
        self._starts: list[tuple[int, str]] = [
            (first, stream)
            for first, stream in turn.read("SELECT first, stream FROM start ORDER BY first")
        ]
        self._began = False  # whether this start has its stream
        self._began_for_sure = False  # and it is committed
        last = turn.store.number("SELECT coalesce(max(number), 0) FROM delivery")
        self._number = max(last, self._starts[-1][0] if self._starts else 0)
        self.limits = limits
        self.waiting: dict[str, int] = {}
        self.depth = 0
        self._count()
        turn.on_commit(self._tell_fresh)
        turn.on_undone(self._undone)

    @property
    def limits(self) -> Limits:
        """The limits in force; replaced when settings are read anew."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        self._most = limits.whole("outbox_messages")
        self._most_each = limits.whole("outbox_peer_messages")
        self._most_bytes = limits["inbox_bytes"] * _SHARE_OF_FILE
        self._ttl = limits["message_default_ttl_seconds"]
        self._longest_ttl = limits["message_ttl_seconds"]

    def on_waiting(self, call: Callable[[list[Waiting]], None]) -> None:
        """Call ``call`` after each commit that brought messages to send, with all of them."""
        self._listeners.append(call)

    def put(self, message: Message, receivers: tuple[str, ...], done: Done) -> None:
        """Take ``message`` for ``receivers`` into this turn; ``done`` hears after the commit.

        Raises BoxFull at once, without taking it. A repeat is no reason for that.
        """
        turn = self._turn
        if turn.lost:
            turn.tell(done, "", None)
            return
        full = self._reason_full(receivers)
        if full and not self._knows(message):
            raise BoxFull(full, where="outbox", mend="send it again later; is the receiver away?")
        if message.id is None:
            message = stamp.with_id(message, self._ids())
        id_ = message.id or ""
        try:
            turn.tell(done, id_, self._write(message, id_, receivers))
        except TurnLost:
            turn.tell(done, id_, None)  # never told: the turn's error is

    def rows(self, receiver: str, lane: int, after: int, most_bytes: int) -> list[Row]:
        """The next deliveries that wait for ``receiver``, behind the number ``after``: as many as
        have about ``most_bytes`` bytes, one at least where there is one."""
        found, size = [], 0
        for row in self._turn.each(_NEXT, (receiver, lane, after, ROWS)):
            found.append(Row(*row))
            size += len(row[3])
            if size >= most_bytes:
                break
        return found

    def stream_of(self, number: int) -> str:
        """The stream that a delivery's number belongs to."""
        return self._starts[bisect_right(self._starts, (number, "~")) - 1][1]

    def delivered(self, receiver: str, lane: int, first: int, last: int) -> None:
        """All that wait with numbers from ``first`` to ``last`` are on the receiver's disk.

        Raises TurnLost.
        """
        self._settle(Sent.DELIVERED, None, (receiver, lane, first, last))

    def dead(self, late: Late, reason: str) -> None:
        """Give one delivery up, and tell the local agent. Raises TurnLost."""
        which = (late.receiver, late.lane, late.number, late.number)
        if self._settle(Sent.DEAD, reason, which):
            self._tell(late.id, late.receiver, reason)

    def expired(self, now: float, count: int) -> list[Late]:
        """Up to ``count`` deliveries whose time is over."""
        if not self.depth:
            return []
        return [Late(*row) for row in self._turn.read(_EXPIRED, (now, count))]

    def shift(self, seconds: float) -> None:
        """Move the ends of all lives that wait: the clock was moved. Raises TurnLost."""
        self._turn.execute(
            "UPDATE delivery SET expires_at = expires_at + ? WHERE state = 0", (seconds,)
        )

    def again(self, number: int) -> int:
        """A new number, at the end of the queue, for a dead letter that is to be tried again.

        Raises TurnLost.
        """
        new = self._next_number()
        self._turn.execute(
            "UPDATE delivery SET number = ?, state = 0, expires_at = ?, settled_at = NULL, "
            "reason = NULL WHERE number = ?",
            (new, self._now() + self._ttl, number),
        )
        rows = self._turn.read(
            "SELECT d.receiver, d.lane, d.expires_at, l.id, l.body FROM delivery d "
            "JOIN letter l ON l.number = d.letter WHERE d.number = ?", (new,)
        )  # fmt: skip
        receiver, lane, expires_at, id_, body = rows[0]
        self._queue(receiver, lane, Row(new, expires_at, id_, body))
        return new

    # Within.

    def _write(self, message: Message, id_: str, receivers: tuple[str, ...]) -> Outcome:
        turn, now, raw = self._turn, time.time(), message.raw
        cursor = turn.execute(_LETTER, (id_, now, raw))
        if cursor.rowcount != 1:
            row = turn.execute("SELECT body FROM letter WHERE id = ?", (id_,)).fetchone()
            return Outcome.DUPLICATE if row[0] == raw else Outcome.CONFLICT
        letter = cursor.lastrowid
        lane = 1 if message.type == MessageType.ALERT else 0
        ttl = message.ttl_seconds or (self._longest_ttl if lane else self._ttl)
        expires_at = self._now() + ttl
        for receiver in receivers:
            number = self._next_number()
            turn.execute(_DELIVERY, (number, letter, receiver, lane, expires_at))
            self._queue(receiver, lane, Row(number, expires_at, id_, raw))
        turn.wrote(len(raw) + _LETTER_BYTES + len(receivers) * _DELIVERY_BYTES)
        return Outcome.ACCEPTED

    def _queue(self, receiver: str, lane: int, row: Row) -> None:
        self.waiting[receiver] = self.waiting.get(receiver, 0) + 1
        self.depth += 1
        self._fresh.append(Waiting(receiver, lane, row))

    def _settle(self, state: Sent, reason: str | None, which: tuple[str, int, int, int]) -> int:
        """``which``: receiver, lane, first and last number. How many there were."""
        receiver = which[0]
        row = (state, time.time(), reason, *which)
        count = self._turn.execute(_SETTLE, row).rowcount
        self._turn.wrote(count * _DELIVERY_BYTES)
        left = self.waiting.get(receiver, 0) - count
        if left > 0:
            self.waiting[receiver] = left
        else:
            self.waiting.pop(receiver, None)
        self.depth -= count
        return count

    def _next_number(self) -> int:
        self._number += 1
        if not self._began:
            # Random, so that a database put back from a backup never repeats one of its streams.
            stream = urandom(8).hex()
            self._turn.execute("INSERT INTO start VALUES (?, ?)", (self._number, stream))
            self._starts.append((self._number, stream))
            self._began = True
        return self._number

    def _knows(self, message: Message) -> bool:
        return message.id is not None and bool(
            self._turn.read("SELECT 1 FROM letter WHERE id = ?", (message.id,))
        )

    def _reason_full(self, receivers: tuple[str, ...]) -> str:
        if self.depth + len(receivers) > self._most:
            return f"{self.depth} messages wait in the outbox"
        for receiver in receivers:
            if self.waiting.get(receiver, 0) >= self._most_each:
                return f"{self.waiting[receiver]} messages wait for {receiver}"
        if self._turn.bytes >= self._most_bytes:
            return f"the file of the boxes has reached {self._most_bytes:.0f} bytes"
        return ""

    def _tell_fresh(self) -> None:
        self._began_for_sure = self._began
        fresh, self._fresh = self._fresh, []
        if fresh:
            for call in self._listeners:
                call(fresh)

    def _undone(self) -> None:
        self._fresh = []
        if self._began and not self._began_for_sure:
            self._starts.pop()
            self._began = False
        self._count()

    def _count(self) -> None:
        self.waiting = dict(self._turn.read(_WAITING))
        self.depth = sum(self.waiting.values())
