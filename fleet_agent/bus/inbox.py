"""The durable inbox: what was accepted is on disk before anybody hears of it.

Messages of one turn of the loop share one transaction and one fsync. Not for judging messages
(``message``) and not for handing them out.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from fleet_agent.bus.ids import Ids
from fleet_agent.bus.message import Message
from fleet_agent.errors import FleetError, TryAgain
from fleet_agent.limits import Limits
from fleet_agent.store.errors import StoreBroken, StoreBusy, StoreFull, translate
from fleet_agent.store.migrate import from_folder
from fleet_agent.store.sqlite import Checkpointer, Store, open_store
from fleet_agent.wire import MessageType

SCHEMA: Final = os.path.join(os.path.dirname(__file__), "schema")
# Some 8 MiB of log between two checkpoints.
_CHECKPOINT_FRAMES: Final = 2000
# What a row costs beside its body, for counting towards the limit until the next look at the file.
_ROW_BYTES: Final = 160

_INSERT: Final = (
    "INSERT INTO inbox (sender, id, lane, received_at, body) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (sender, id) DO NOTHING"
)
_BODY: Final = "SELECT body FROM inbox WHERE sender = ? AND id = ?"


class Outcome(Enum):
    """What became of one message, known after the commit."""

    ACCEPTED = auto()
    DUPLICATE = auto()  # the same (from, id) with the same bytes is here already
    CONFLICT = auto()  # the same (from, id) with other bytes


class BoxFull(TryAgain):
    """The inbox holds as much as its limits allow; the sender keeps the message and comes back."""

    http_status = 429
    title = "the inbox is full"


# Called once after the commit, or with the error that undid it.
Done = Callable[[str, Outcome | FleetError], None]


class Inbox:
    """Accepts messages of one turn, then commits them. Belongs to the loop's thread.

    ``failed`` is called, from another thread, when a checkpoint failed.
    """

    def __init__(
        self, store: Store, limits: Limits, *, ids: Ids, failed: Callable[[Exception], None]
    ) -> None:
        self._store = store
        self._execute = store.connection.execute
        self._ids = ids
        self._checkpointer = Checkpointer(
            store.path, every_frames=_CHECKPOINT_FRAMES, failed=failed
        )
        self._pending: list[tuple[str, Outcome, Done]] = []
        self._pending_bytes = 0
        self._error: FleetError | None = None
        self._depth = self._store.number("SELECT count(*) FROM inbox")
        self.limits = limits
        self._file_bytes = self._measure()

    @property
    def depth(self) -> int:
        """Messages that wait in the box."""
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

    def put(self, message: Message, done: Done) -> None:
        """Take ``message`` into this turn's transaction; ``done`` hears of it after ``commit``.

        Raises BoxFull at once, without taking it. A repeat is no reason for that.
        """
        if self._error is not None:  # the turn is lost already: this one goes with it
            self._pending.append(("", Outcome.ACCEPTED, done))
            return
        full = self._reason_full()
        if full and not self._knows(message):
            raise BoxFull(full, where="inbox", mend="send it again later; its handler is too slow")
        id_ = message.id or self._ids()
        raw = message.raw
        try:
            if not self._pending:
                self._execute("BEGIN IMMEDIATE")
            lane = 1 if message.type == MessageType.ALERT else 0
            row = (message.sender, id_, lane, time.time(), raw)
            if self._execute(_INSERT, row).rowcount == 1:
                outcome = Outcome.ACCEPTED
                self._depth += 1
                self._pending_bytes += len(raw) + _ROW_BYTES
            else:
                (body,) = self._execute(_BODY, (message.sender, id_)).fetchone()
                outcome = Outcome.DUPLICATE if body == raw else Outcome.CONFLICT
        except sqlite3.Error as error:
            self._error = self._translate(error)
            outcome = Outcome.ACCEPTED  # never told: the turn's error is
        self._pending.append((id_, outcome, done))

    def commit(self) -> None:
        """Commit and fsync this turn's messages, then tell their ``done``.

        A full disk or a busy file undoes the whole turn and tells each of it. Raises StoreBroken
        when it is unknown what the disk holds: the process must end, telling nobody anything.
        """
        if not self._pending:
            return
        if self._error is None:
            try:
                self._execute("COMMIT")
            except sqlite3.Error as error:
                self._error = self._translate(error)
        pending, self._pending = self._pending, []
        written, self._pending_bytes = self._pending_bytes, 0
        failure, self._error = self._error, None
        if failure is not None:
            self._undo(failure, pending)
            return
        for id_, outcome, done in pending:
            done(id_, outcome)
        if written:
            self._checkpointer.after_commit(written)
            self._file_bytes = self._measure()

    def close(self) -> None:
        """Commit what is pending and close the file."""
        self.commit()
        self._checkpointer.wait()
        self._store.close()

    def _undo(self, error: FleetError, pending: list[tuple[str, Outcome, Done]]) -> None:
        if isinstance(error, StoreBroken):
            raise error
        # After a full disk SQLite may have rolled back by itself.
        if self._store.connection.in_transaction:
            self._execute("ROLLBACK")
        self._depth = self._store.number("SELECT count(*) FROM inbox")
        for id_, _, done in pending:
            done(id_, error)

    def _translate(self, error: sqlite3.Error) -> FleetError:
        known = translate(error, self._store.path)
        if isinstance(known, StoreFull | StoreBusy | StoreBroken):
            return known
        # A mistake in our SQL, or a database that is not the one it was: nothing may be answered.
        return StoreBroken(str(error), where=self._store.path, mend="report this")

    def _reason_full(self) -> str:
        if self._depth >= self._most_messages:
            return f"{self._depth} messages wait"
        if self._file_bytes + self._pending_bytes >= self._most_bytes:
            return f"its file has reached {self._most_bytes} bytes"
        return ""

    def _knows(self, message: Message) -> bool:
        return (
            message.id is not None
            and self._execute(_BODY, (message.sender, message.id)).fetchone() is not None
        )

    def _measure(self) -> int:
        """Bytes that the rows take, in the file or still in its log; freed pages are room."""
        pages, free, size = (
            self._store.number(f"PRAGMA {name}")
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size


def open_inbox(
    path: str, limits: Limits, *, ids: Ids, failed: Callable[[Exception], None]
) -> Inbox:
    """Open or make the box in the file ``path``. Raises what ``store.sqlite.open_store`` does."""
    return Inbox(open_store(path, from_folder(SCHEMA)), limits, ids=ids, failed=failed)
