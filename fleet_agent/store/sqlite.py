"""One SQLite file as a durable store: pragmas, one writer, errors by what to do about them.

A transaction that was committed here survives the loss of power. Not for SQL: rooms bring theirs.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from fleet_agent.store.errors import StoreBusy, translate

BUSY_SECONDS: Final = 5.0
# Frames (pages) in the write-ahead log after which the writer itself checkpoints in its commit.
# The Checkpointer should have moved nearly all of them by then, beside the writer.
WRITER_CHECKPOINT_FRAMES: Final = 16_000
_PAGE_BYTES: Final = 4096
# A small commit rewrites a leaf of each b-tree it touches, and now and then a page above.
_FRAMES_PER_COMMIT: Final = 4


class Store:
    """An open database. ``connection`` is in autocommit mode; write within ``transaction``."""

    def __init__(self, path: str, connection: sqlite3.Connection) -> None:
        self.path = path
        self.connection = connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: committed and fsynced at the end, undone on any exception.

        Raises StoreFull, StoreBusy or StoreBroken; SQL mistakes as sqlite3.Error.
        """
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            yield self.connection
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            raise translate(error, self.path) from error
        except BaseException:
            self._undo()
            raise

    def number(self, sql: str) -> int:
        """The one whole number that ``sql`` asks for. Raises as ``transaction`` does."""
        try:
            return int(self.connection.execute(sql).fetchone()[0])
        except sqlite3.Error as error:
            raise translate(error, self.path) from error

    def close(self) -> None:
        """Close the connection; the last one of a file also moves its log into it."""
        self.connection.close()

    def _undo(self) -> None:
        # After a full disk SQLite may have rolled back by itself.
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")


def open_store(path: str, migrate: Callable[[sqlite3.Connection, str], object]) -> Store:
    """Open or make the database at ``path`` (mode 0600), ready to acknowledge writes.

    ``migrate(connection, path)`` brings the schema up to date (``store.migrate.migrate`` with a
    folder). Raises StoreFull, StoreBusy, StoreBroken, and what ``migrate`` raises.
    """
    _make_private(path)
    try:
        connection = _connect(path)
    except sqlite3.Error as error:
        raise translate(error, path) from error
    try:
        # Until a new file's mode is WAL, locks are exclusive: the switch itself may find it busy.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA wal_autocheckpoint={WRITER_CHECKPOINT_FRAMES}")
        _empty_log(connection, path)
        migrate(connection, path)
        _fsync_folder(path)
    except sqlite3.Error as error:
        connection.close()
        raise translate(error, path) from error
    except BaseException:
        connection.close()
        raise
    return Store(path, connection)


def open_for_reading(path: str) -> Store:
    """Open an existing database without any right to write. Raises StoreBroken, StoreBusy."""
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(
            f"file:{_quoted(path)}?mode=ro", uri=True, timeout=BUSY_SECONDS, isolation_level=None
        )
        connection.execute("PRAGMA query_only=ON")
        connection.execute("SELECT count(*) FROM sqlite_schema")
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise translate(error, path) from error
    return Store(path, connection)


class Checkpointer:
    """Moves committed pages from the log into the file, beside the writer and after its answers.

    A PASSIVE checkpoint on a second connection, in a short-lived thread that is inside SQLite
    (and without Python's lock) nearly all of its time; it never makes the writer wait.
    """

    def __init__(
        self, path: str, *, every_frames: int, failed: Callable[[Exception], None]
    ) -> None:
        self._path = path
        self._every_frames = every_frames
        self._failed = failed
        self._waiting_frames = 0
        self._thread: threading.Thread | None = None

    def after_commit(self, written_bytes: int) -> None:
        """Count a commit; start a checkpoint if ``every_frames`` wait and none is under way.

        SQLite tells its frame count only to who checkpoints, so between two of them it is guessed.
        """
        self._waiting_frames += _FRAMES_PER_COMMIT + written_bytes // _PAGE_BYTES
        if self._waiting_frames < self._every_frames:
            return
        if self._thread is not None and self._thread.is_alive():
            return
        self._waiting_frames = 0
        self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait for a checkpoint that is under way."""
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            connection = _connect(self._path)
            try:
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            finally:
                connection.close()
        except sqlite3.Error as error:
            self._failed(translate(error, self._path))


def _connect(path: str) -> sqlite3.Connection:
    return sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )


def _make_private(path: str) -> None:
    # SQLite gives the log and the shared-memory file the mode of the database. A file that exists
    # is not opened here: closing it would drop the POSIX locks of this process's other connections.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _empty_log(connection: sqlite3.Connection, path: str) -> None:
    """Move the log of the process before us into the file and fsync both.

    Without it, frames whose fsync failed, alive only in the page cache, would lie below ours:
    after a loss of power our acknowledged frames would sit behind that hole.
    """
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StoreBusy(
            "its log could not be emptied, another process reads or writes it",
            where=path,
            mend="end the other process (lsof shows it)",
        )


def _fsync_folder(path: str) -> None:
    handle = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
