"""The durable inbox: what was accepted is on disk before anybody hears of it.

Not for judging messages (``message``), not for committing (``turn``) and not for handing them out.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from fleet_agent.bus.ids import Ids
from fleet_agent.bus.intake import Arrived, Intake, Outcome, Taken
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

_KNOWN: Final = "SELECT 1 FROM inbox WHERE sender = ? AND id = ?"
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


class BoxFull(TryAgain):
    """The box holds as much as its limits allow; the sender keeps the message and comes back."""

    http_status = 429
    title = "the box is full"


class Inbox:
    """Accepts messages into this turn's transaction."""

    def __init__(self, turn: Turn, limits: Limits, *, ids: Ids) -> None:
        self._turn = turn
        self._ids = ids
        self._intake = Intake(turn)
        turn.before_commit(self._write)  # before the marks of its streams are written
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
        if place is not None and self._is_known(place):
            turn.tell(done, message.id or "", Outcome.DUPLICATE)
            return
        known = message.id or name
        if self._depth >= self._most_messages or turn.bytes >= self._most_bytes:
            self._refuse_full(message.sender, known)
        id_ = known or self._ids()
        ticket = turn.tell(done, id_, Outcome.ACCEPTED)
        # A place in a stream is memory enough, and an id that we gave nobody can repeat.
        self._take(message, id_, ticket, place, forgettable=place is not None or known is None)

    def note(self, message: Message) -> None:
        """Keep a word of our own to the local agent, however full the box is. Raises TurnLost."""
        self._take(message, message.id or self._ids(), None, None, forgettable=True)
        self._write()

    def settled(self) -> None:
        """One message less is open (``leases``)."""
        self._depth -= 1

    def reopened(self) -> None:
        """One message more is open (``leases``)."""
        self._depth += 1

    def hops_of(self, sender: str, id_: str) -> int | None:
        """The hops of a message that came in here; None where it is not known (any more).

        Raises TurnLost.
        """
        self._write()
        rows = self._turn.read("SELECT hops FROM inbox WHERE sender = ? AND id = ?", (sender, id_))
        return rows[0][0] if rows else None

    def reply_to(self, id_: str, name: str) -> bytes | None:
        """The first response to the message ``id_`` of ``name``, byte for byte.

        Raises TurnLost.
        """
        self._write()
        for (body,) in self._turn.each(_REPLIES, (id_,)):
            # Ids are their senders' own: two may have sent the same one.
            if json.loads(body)["to"] == name:
                return bytes(body)
        return None

    def keep(self, message: Message, done: Done) -> None:
        """Keep what the local agent answers to somebody who has no daemon (the holder of a token):
        it is here to be asked for, and handed out to nobody. ``done`` hears after the commit."""
        id_ = message.id or self._ids()
        ticket = self._turn.tell(done, id_, Outcome.ACCEPTED)
        with suppress(TurnLost):  # the turn's error is told
            self._write()
            before = len(self._arrived)
            self._take(message, id_, ticket, None, forgettable=True)
            self._write()
            if len(self._arrived) > before:
                self._depth -= 1
                self._turn.execute(_KEPT, (time.time(), message.sender, id_))

    def _take(
        self,
        message: Message,
        id_: str,
        ticket: int | None,
        place: Place | None,
        *,
        forgettable: bool,
    ) -> None:
        """Write it with what else comes in this turn; counted as if it were new."""
        lane = 1 if message.type == MessageType.ALERT else 0
        try:
            before = 0 if place is None else self._streams.take(place)
            taken = Taken(message, id_, ticket, place, before)
            self._intake.take(taken, lane, forgettable=forgettable)
        except TurnLost:
            if ticket is None:
                raise
            return  # the turn's error is told
        self._depth += 1
        self._turn.wrote(len(message.raw) + ROW_BYTES)

    def _write(self) -> None:
        """Write what came in so far. Raises TurnLost."""
        new, repeats = self._intake.write(self._streams)
        self._arrived += new
        if repeats:
            self._depth -= len(repeats)
            self._turn.wrote(-sum(len(one.raw) + ROW_BYTES for one in repeats))

    def _tell_arrived(self) -> None:
        arrived, self._arrived = self._arrived, []
        if arrived:
            for call in self._listeners:
                call(arrived)

    def _undone(self) -> None:
        self._arrived = []
        self._intake.forget()
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

    def _is_known(self, place: Place) -> bool:
        """Whether the place was taken. Raises OutOfOrder."""
        if not self._streams.knows(place):
            return False
        with suppress(TurnLost):  # then this turn's error is told
            self._write()  # what was taken in this turn may yet prove refused
        return self._streams.knows(place)

    def _refuse_full(self, sender: str, id_: str | None) -> None:
        """Raise BoxFull, unless it is not full or ``id_`` is here already."""
        with suppress(TurnLost):  # then this turn's error is told
            self._write()  # some of what is counted may be repeats
        if self._depth >= self._most_messages:
            full = f"{self._depth} messages wait"
        elif self._turn.bytes >= self._most_bytes:
            full = f"its file has reached {self._most_bytes} bytes"
        else:
            return
        if id_ is None or not self._turn.read(_KNOWN, (sender, id_)):
            raise BoxFull(full, where="inbox", mend="send it again later; its handler is too slow")


def open_turn(path: str, *, failed: Callable[[Exception], None]) -> Turn:
    """Open or make the file ``path`` of both boxes. Raises what ``open_store`` does."""
    return Turn(open_store(path, from_folder(SCHEMA)), failed=failed)
