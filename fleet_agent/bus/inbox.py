"""The durable inbox: what was accepted is on disk before anybody hears of it.

Not for judging messages (``message``), not for committing (``turn``) and not for handing them out.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from fleet_agent.bus.ids import Ids
from fleet_agent.bus.message import Message
from fleet_agent.bus.streams import Place, Streams
from fleet_agent.bus.turn import Done, Turn, TurnLost
from fleet_agent.errors import TryAgain
from fleet_agent.limits import Limits
from fleet_agent.store.migrate import from_folder
from fleet_agent.store.sqlite import open_store
from fleet_agent.wire import MessageType

SCHEMA: Final = os.path.join(os.path.dirname(__file__), "schema")
# What a row costs beside its body, for counting towards the limit until the next look at the file.
ROW_BYTES: Final = 160

_INSERT: Final = (
    "INSERT INTO inbox (sender, id, lane, received_at, body, hops, in_reply_to, type, forgettable) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sender, id) DO NOTHING"
)
_BODY: Final = "SELECT body FROM inbox WHERE sender = ? AND id = ?"
_REPLIES: Final = "SELECT body FROM inbox WHERE in_reply_to = ? AND body != x'' ORDER BY seq"
_KEPT: Final = "UPDATE inbox SET state = 2, settled_at = ? WHERE sender = ? AND id = ?"
_TALLY: Final = "SELECT count FROM tally WHERE box = 'inbox'"
_SAVE_TALLY: Final = "UPDATE tally SET count = ? WHERE box = 'inbox'"
_COUNT: Final = (
    "UPDATE tally SET count = (SELECT count(*) FROM inbox WHERE state < 2) WHERE box = 'inbox'"
)
_UNTYPED: Final = (
    "SELECT count(*) FROM (SELECT 1 FROM inbox WHERE state < 2 AND type IS NULL LIMIT 1)"
)
_TYPE: Final = (
    "UPDATE inbox SET type = coalesce(CASE WHEN json_valid(CAST(body AS TEXT)) "
    "THEN json_extract(CAST(body AS TEXT), '$.type') END, 'request') "
    "WHERE state < 2 AND type IS NULL"
)


class Outcome(Enum):
    """What became of one message, known after the commit."""

    ACCEPTED = auto()
    DUPLICATE = auto()  # the same (from, id) with the same bytes is here already
    CONFLICT = auto()  # the same (from, id) with other bytes


class BoxFull(TryAgain):
    """The box holds as much as its limits allow; the sender keeps the message and comes back."""

    http_status = 429
    title = "the box is full"


# A message that was committed, and its id: for who waits for messages.
Arrived = tuple[Message, str]


class Inbox:
    """Accepts messages into this turn's transaction."""

    def __init__(self, turn: Turn, limits: Limits, *, ids: Ids) -> None:
        self._turn = turn
        self._ids = ids
        self._streams = Streams(turn)
        self._arrived: list[Arrived] = []
        self._listeners: list[Callable[[list[Arrived]], None]] = []
        self.limits = limits
        self._prepare()
        self._depth = self._saved = turn.store.number(_TALLY)
        turn.before_commit(self._save)
        turn.on_commit(self._tell_arrived)
        turn.on_undone(self._undone)

    @property
    def depth(self) -> int:
        """Messages that are not settled: they wait, or are handed out."""
        return self._depth

    @property
    def limits(self) -> Limits:
        """The limits in force; replaced when settings are read anew."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        self._most_messages = limits.whole("inbox_messages")
        self._most_bytes = limits.whole("inbox_bytes")

    def on_arrival(self, call: Callable[[list[Arrived]], None]) -> None:
        """Call ``call`` after each commit that brought messages, with all of them."""
        self._listeners.append(call)

    def put(
        self,
        message: Message,
        done: Done,
        place: Place | None = None,
        name: str | None = None,
    ) -> None:
        """Take ``message`` into this turn's transaction; ``done`` hears of it after the commit.

        ``name`` is its id where it has none of its own; without either it is given a new one.
        Raises BoxFull at once, without taking it (a repeat is no reason for that), and OutOfOrder
        where ``place`` does not follow what its stream has brought so far.
        """
        turn = self._turn
        if turn.lost:  # this one goes with it
            turn.tell(done, "", None)
            return
        if place is not None and self._streams.knows(place):
            turn.tell(done, message.id or "", Outcome.DUPLICATE)
            return
        known = message.id or name
        if (
            self._depth >= self._most_messages or turn.bytes >= self._most_bytes
        ) and not self._knows(message.sender, known):
            full = self._reason_full()
            raise BoxFull(full, where="inbox", mend="send it again later; its handler is too slow")
        id_ = known or self._ids()
        try:
            # A place in a stream is memory enough, and an id that we gave nobody can repeat.
            outcome = self._write(message, id_, forgettable=place is not None or known is None)
        except TurnLost:
            turn.tell(done, id_, None)  # never told: the turn's error is
            return
        if place is not None and outcome is not Outcome.CONFLICT:
            self._streams.take(place)
        turn.tell(done, id_, outcome)

    def note(self, message: Message) -> None:
        """Keep a word of our own to the local agent, however full the box is. Raises TurnLost."""
        self._write(message, message.id or self._ids(), forgettable=True)

    def settled(self) -> None:
        """One message less is open (``leases``)."""
        self._depth -= 1

    def reopened(self) -> None:
        """One message more is open (``leases``)."""
        self._depth += 1

    def hops_of(self, sender: str, id_: str) -> int | None:
        """The hops of a message that came in here; None where it is not known (any more)."""
        rows = self._turn.read("SELECT hops FROM inbox WHERE sender = ? AND id = ?", (sender, id_))
        return rows[0][0] if rows else None

    def reply_to(self, id_: str, name: str) -> bytes | None:
        """The first response to the message ``id_`` of ``name``, byte for byte."""
        for (body,) in self._turn.each(_REPLIES, (id_,)):
            # Ids are their senders' own: two may have sent the same one.
            if json.loads(body)["to"] == name:
                return bytes(body)
        return None

    def keep(self, message: Message, done: Done) -> None:
        """Keep what the local agent answers to somebody who has no daemon (the holder of a token):
        it is here to be asked for, and handed out to nobody. ``done`` hears after the commit."""
        turn = self._turn
        id_ = message.id or self._ids()
        try:
            outcome = None if turn.lost else self._write(message, id_, forgettable=True)
            if outcome is Outcome.ACCEPTED:
                self._depth -= 1
                turn.execute(_KEPT, (time.time(), message.sender, id_))
        except TurnLost:
            outcome = None  # never told: the turn's error is
        turn.tell(done, id_, outcome)

    def _write(self, message: Message, id_: str, *, forgettable: bool) -> Outcome:
        raw = message.raw
        lane = 1 if message.type == MessageType.ALERT else 0
        row = (
            message.sender, id_, lane, time.time(), raw, message.hops, message.in_reply_to,
            message.type, 1 if forgettable else None,
        )  # fmt: skip
        if self._turn.execute(_INSERT, row).rowcount == 1:
            self._depth += 1
            self._turn.wrote(len(raw) + ROW_BYTES)
            self._arrived.append((message, id_))
            return Outcome.ACCEPTED
        (body,) = self._turn.execute(_BODY, (message.sender, id_)).fetchone()
        # A body that was cleared away after its handling can't be compared any more.
        return Outcome.DUPLICATE if body in (raw, b"") else Outcome.CONFLICT

    def _tell_arrived(self) -> None:
        arrived, self._arrived = self._arrived, []
        if arrived:
            for call in self._listeners:
                call(arrived)

    def _undone(self) -> None:
        self._arrived = []
        self._depth = self._saved = self._turn.store.number(_TALLY)

    def _save(self) -> None:
        if self._depth != self._saved:
            self._turn.execute(_SAVE_TALLY, (self._depth,))
            self._saved = self._depth

    def _prepare(self) -> None:
        """What a release before, which knew neither types nor the tally, wrote into the file."""
        store = self._turn.store
        if store.number(_UNTYPED) or store.number(_TALLY) < 0:
            with store.transaction() as connection:
                connection.execute(_TYPE)
                connection.execute(_COUNT)

    def _reason_full(self) -> str:
        if self._depth >= self._most_messages:
            return f"{self._depth} messages wait"
        return f"its file has reached {self._most_bytes} bytes"

    def _knows(self, sender: str, id_: str | None) -> bool:
        return id_ is not None and bool(self._turn.read(_BODY, (sender, id_)))


def open_turn(path: str, *, failed: Callable[[Exception], None]) -> Turn:
    """Open or make the file ``path`` of both boxes. Raises what ``open_store`` does."""
    return Turn(open_store(path, from_folder(SCHEMA)), failed=failed)
