"""One transaction for all that a turn of the loop writes: inbox, outbox, streams; one fsync.

Whoever waits for it hears after the commit, or of the error that undid it. Knows no message.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from fleet_agent.errors import FleetError, TryAgain
from fleet_agent.store.errors import StoreBroken, StoreBusy, StoreFull, translate
from fleet_agent.store.sqlite import Checkpointer, Store

# Some 8 MiB of log between two checkpoints.
_CHECKPOINT_FRAMES: Final = 2000

# How often to look how large the file really is: asking takes as long as writing four messages.
_MEASURE_BYTES: Final = 256 * 1024

# Called once after the commit with what was put, or with the error that undid it.
Done = Callable[[str, Any], None]


class TurnLost(TryAgain):
    """Something of this turn could not be written, so nothing of it will be."""

    title = "not stored"

    def __init__(self) -> None:
        super().__init__("this turn's transaction is lost", mend="send it again")


class Turn:
    """The writer of one database. Belongs to the loop's thread.

    ``failed`` is called, from another thread, when a checkpoint failed. Where its disk failed, and
    not only its room, nothing is committed any more: ``commit`` raises.
    """

    def __init__(self, store: Store, *, failed: Callable[[Exception], None]) -> None:
        self.store = store
        self._run = store.connection.execute
        self._failed = failed
        self._broken: StoreBroken | None = None
        self._checkpointer = Checkpointer(
            store.path, every_frames=_CHECKPOINT_FRAMES, failed=self._checkpoint_failed
        )
        self._open = False
        self._error: FleetError | None = None
        self._waiting: list[tuple[Done, str, Any]] = []
        self._before: list[Callable[[], None]] = []
        self._committed: list[Callable[[], None]] = []
        self._undone: list[Callable[[], None]] = []
        self._written = 0
        self._unmeasured = 0  # bytes that are in ``file_bytes`` as counted, not as measured
        self.file_bytes = self._measure()

    @property
    def lost(self) -> bool:
        """Whether an error has undone this turn already: what comes now goes with it."""
        return self._error is not None

    @property
    def bytes(self) -> int:
        """What the rows take, in the file or still in its log, this turn's included."""
        return self.file_bytes + self._written

    def execute(self, sql: str, row: Iterable[Any] = ()) -> sqlite3.Cursor:
        """Write within this turn's transaction. Raises TurnLost."""
        if not self._open or self._error is not None:
            self.begin()
        try:
            return self._run(sql, row)  # type: ignore[arg-type]
        except sqlite3.Error as error:
            raise self._lose(error) from error

    def execute_many(self, sql: str, rows: Iterable[Iterable[Any]]) -> int:
        """Write each of ``rows``; how many rows of the table changed. Raises TurnLost."""
        self.begin()
        try:
            return self.store.connection.executemany(sql, rows).rowcount  # type: ignore[arg-type]
        except sqlite3.Error as error:
            raise self._lose(error) from error

    def begin(self) -> None:
        """Open this turn's transaction, if it is not open yet. Raises TurnLost."""
        if self._error is not None:
            raise TurnLost
        if self._open:
            return
        try:
            self._run("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise self._lose(error) from error
        self._open = True

    def read(self, sql: str, row: Iterable[Any] = ()) -> list[Any]:
        """Rows as they are now, this turn's included. Raises what the store's errors are."""
        try:
            return self._run(sql, row).fetchall()  # type: ignore[arg-type]
        except sqlite3.Error as error:
            raise self._translate(error) from error

    def each(self, sql: str, row: Iterable[Any] = ()) -> Iterator[Any]:
        """As ``read``, one row at a time: for who stops before the end."""
        try:
            yield from self._run(sql, row)  # type: ignore[arg-type]
        except sqlite3.Error as error:
            raise self._translate(error) from error

    def wrote(self, count: int) -> None:
        """Count bytes that were written, towards limits and checkpoints."""
        self._written += count

    def freed(self) -> None:
        """Rows were deleted: look anew how large the file is."""
        self._unmeasured = _MEASURE_BYTES

    def tell(self, done: Done, id_: str, result: Any) -> int:
        """Call ``done(id_, result)`` after the commit, or ``done(id_, error)``.

        The number returned is for ``correct``.
        """
        self._waiting.append((done, id_, result))
        return len(self._waiting) - 1

    def correct(self, number: int, result: Any) -> None:
        """Tell another result than was said before, since it turned out so before the commit."""
        done, id_, _ = self._waiting[number]
        self._waiting[number] = (done, id_, result)

    def before_commit(self, call: Callable[[], None]) -> None:
        """Call ``call`` before each commit; it may still ``execute``."""
        self._before.append(call)

    def on_commit(self, call: Callable[[], None]) -> None:
        """Call ``call`` after each commit; what it writes waits for the next turn's."""
        self._committed.append(call)

    def on_undone(self, call: Callable[[], None]) -> None:
        """Call ``call`` after each turn that was undone: counts in memory are wrong now."""
        self._undone.append(call)

    def commit(self) -> None:
        """Commit and fsync what this turn wrote, then tell those who wait.

        A full disk or a busy file undoes the whole turn and tells each of it. Raises StoreBroken
        when it is unknown what the disk holds: the process must end, telling nobody anything.
        """
        if not self._open and not self._waiting and self._error is None:
            return
        if self._broken is not None:
            raise self._broken
        if self._error is None and self._open:
            self._finish()
        waiting, self._waiting = self._waiting, []
        written, self._written = self._written, 0
        error, self._error = self._error, None
        opened, self._open = self._open, False
        if error is not None:
            self._undo(error, waiting)
            return
        for done, id_, result in waiting:
            done(id_, result)
        if not opened:
            return
        for call in self._committed:
            call()
        self._checkpointer.after_commit(written)
        self.file_bytes += written
        self._unmeasured += written
        if self._unmeasured >= _MEASURE_BYTES:
            self.file_bytes = self._measure()

    def close(self) -> None:
        """Commit what is pending and close the file."""
        self.commit()
        self._checkpointer.wait()
        self.store.close()

    def _checkpoint_failed(self, error: Exception) -> None:
        """From the checkpoint's thread. What it could not move is in the log still; but a disk that
        failed once may have lost what no later fsync tells of, so nothing is built on it."""
        if isinstance(error, StoreBroken):
            self._broken = error
        self._failed(error)

    def _finish(self) -> None:
        try:
            for call in self._before:
                call()
            self._run("COMMIT")
        except TurnLost:
            pass  # the error is kept
        except sqlite3.Error as error:
            self._error = self._translate(error)

    def _undo(self, error: FleetError, waiting: list[tuple[Done, str, Any]]) -> None:
        if isinstance(error, StoreBroken):
            raise error
        # After a full disk SQLite may have rolled back by itself.
        if self.store.connection.in_transaction:
            self._run("ROLLBACK")
        for call in self._undone:
            call()
        for done, id_, _ in waiting:
            done(id_, error)

    def _lose(self, error: sqlite3.Error) -> TurnLost:
        self._error = self._translate(error)
        return TurnLost()

    def _translate(self, error: sqlite3.Error) -> FleetError:
        known = translate(error, self.store.path)
        if isinstance(known, StoreFull | StoreBusy | StoreBroken):
            return known
        # A mistake in our SQL, or a database that is not the one it was: nothing may be answered.
        return StoreBroken(str(error), where=self.store.path, mend="report this")

    def _measure(self) -> int:
        """Bytes that the rows take, in the file or still in its log; freed pages are room."""
        self._unmeasured = 0
        pages, free, size = (
            self.store.number(f"PRAGMA {name}")
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size
