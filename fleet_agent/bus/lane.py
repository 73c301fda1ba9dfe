"""One lane of one receiver: what waits in order, what is under way, and what the answers mean.

Holds a bounded part of what waits; the rest is in the outbox. Not for connections (``peer``).
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from fleet_agent.bus.batch import KEPT, Kind, Verdict
from fleet_agent.bus.outbox import ROWS, Late, Outbox, Row
from fleet_agent.limits import Limits

_BUFFER_BYTES: Final = 1 << 20
_TOO_LATE: Final = "its time to live was over before it could be delivered"
_UNANSWERED: Final = f"{_TOO_LATE}; it was sent, so it may have arrived without an answer"


class Flight(NamedTuple):
    """One batch under way. ``after`` is the number before its first that is under way, or 0."""

    stream: str
    after: int
    rows: tuple[Row, ...]


class Lane:
    """The queue of one (receiver, lane). Flights are answered in the order of their sending."""

    def __init__(self, outbox: Outbox, receiver: str, lane: int, limits: Limits) -> None:
        self._outbox = outbox
        self._receiver = receiver
        self._lane = lane
        self._buffer: deque[Row] = deque()
        self._bytes = 0
        self._cursor = 0  # the last number that was looked at
        self._behind = True  # the outbox may hold more than the buffer
        self._broken = False  # what was under way must be answered before anything is sent
        self._flying: deque[Flight] = deque()
        self._unsure = 0  # up to here it was sent, and the answer got lost
        self._tries: dict[int, int] = {}
        self._lines = ROWS
        self.limits = limits

    @property
    def limits(self) -> Limits:
        """The limits in force."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        self._most_lines = limits.whole("outbox_batch_lines")
        self._most_bytes = limits.whole("outbox_batch_bytes")
        self._most_tries = limits.whole("outbox_refusals")

    def has_work(self) -> bool:
        """Whether something waits or is under way."""
        if not self._flying:
            self._load()
        return bool(self._flying or self._buffer)

    def offer(self, row: Row) -> None:
        """A row that was just committed, behind all others."""
        if row.number <= self._cursor:
            return  # a look at the outbox within its own turn has found it already
        if self._behind or self._broken or self._bytes >= _BUFFER_BYTES:
            self._behind = True
            return
        self._cursor = row.number
        self._buffer.append(row)
        self._bytes += len(row.body)

    def next(self, now: float) -> Flight | None:
        """The next batch to send, None when there is none or answers must come first.

        Raises TurnLost when a row's time is over and that can't be written.
        """
        if self._broken:
            return None
        self._load()
        rows: list[Row] = []
        size, stream = 0, self._flying[-1].stream if self._flying else ""
        most = min(self._most_lines, self._lines)
        while self._buffer and len(rows) < most:
            row = self._buffer[0]
            if row.expires_at <= now:
                self._pop()
                late = Late(row.number, self._receiver, self._lane, row.id)
                self._outbox.dead(late, self.why_late(row.number))
                continue
            size += len(row.body)
            if rows and size > self._most_bytes:
                break
            of_row = self._outbox.stream_of(row.number)
            if of_row != stream:
                if rows or self._flying:
                    break  # order between streams is kept by waiting
                stream = of_row
            self._pop()
            rows.append(row)
        if not rows:
            return None
        after = self._flying[-1].rows[-1].number if self._flying else 0
        flight = Flight(stream, after, tuple(rows))
        self._flying.append(flight)
        return flight

    def answered(self, flight: Flight, verdicts: list[Verdict]) -> Verdict | None:
        """Take the answer to the oldest flight: KEPT when something of it was, the verdict that
        says why to wait, or None when neither.

        Raises TurnLost.
        """
        self._flying.popleft()
        rows = flight.rows
        kept = 0
        while kept < len(rows) and verdicts[kept].kind is Kind.KEPT:
            kept += 1
        if kept:
            self._delivered(rows[0].number, rows[kept - 1].number)
        if kept == len(rows):
            self._lines = min(ROWS, self._lines * 2)
            if self._broken and not self._flying:
                self._rewind()
            return KEPT
        self._broken = True
        waits = self._judge(rows[kept:], verdicts[kept:])
        if not self._flying:
            self._rewind()
        return waits or (KEPT if kept else None)

    def lost(self) -> None:
        """The connection is gone: what was under way is unknown and will be sent again."""
        if self._flying:
            self._unsure = max(self._unsure, self._flying[-1].rows[-1].number)
        self._flying.clear()
        self._rewind()

    def start_anew(self) -> None:
        """What is known of the outbox may be wrong: look again once answers are in."""
        if self._flying:
            self._broken = True
        else:
            self._rewind()

    def why_late(self, number: int) -> str:
        """The reason for giving up a delivery whose time is over."""
        return _UNANSWERED if number <= self._unsure else _TOO_LATE

    def flies(self, number: int) -> bool:
        """Whether the delivery is under way now."""
        return any(
            flight.rows[0].number <= number <= flight.rows[-1].number for flight in self._flying
        )

    def _judge(self, rows: tuple[Row, ...], verdicts: list[Verdict]) -> Verdict | None:
        """Settle what is settled behind the first line that was not kept."""
        waits: Verdict | None = None
        for row, verdict in zip(rows, verdicts, strict=True):
            kind = verdict.kind
            if kind is Kind.KEPT:
                self._delivered(row.number, row.number)
                continue
            if kind is Kind.TOO_LARGE:
                if len(rows) > 1:
                    self._lines = 1
                    return None
                kind = Kind.REFUSED
            if kind is Kind.SETTLING:
                tries = self._tries[row.number] = self._tries.get(row.number, 0) + 1
                if tries >= self._most_tries:
                    kind = Kind.REFUSED
            if kind is Kind.REFUSED:
                late = Late(row.number, self._receiver, self._lane, row.id)
                self._outbox.dead(late, f"{self._receiver} refused it: {verdict.reason}")
                self._tries.pop(row.number, None)
            elif waits is None and kind is not Kind.BEHIND:
                waits = verdict
        return waits

    def _delivered(self, first: int, last: int) -> None:
        self._outbox.delivered(self._receiver, self._lane, first, last)
        if self._tries:
            self._tries = {number: tries for number, tries in self._tries.items() if number > last}

    def _load(self) -> None:
        if self._buffer or not self._behind:
            return
        rows = self._outbox.rows(self._receiver, self._lane, self._cursor, _BUFFER_BYTES)
        self._behind = bool(rows)
        if rows:
            self._cursor = rows[-1].number
            self._buffer.extend(rows)
            self._bytes = sum(len(row.body) for row in rows)

    def _pop(self) -> None:
        self._bytes -= len(self._buffer.popleft().body)

    def _rewind(self) -> None:
        self._buffer.clear()
        self._bytes = 0
        self._cursor = 0
        self._behind = True
        self._broken = False
