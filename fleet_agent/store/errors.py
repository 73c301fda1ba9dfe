"""What can go wrong with a database file, sorted by what the caller must do about it.

Not for SQL mistakes: those stay what they are, bugs.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from fleet_agent.errors import ConfigError, FleetError, TryAgain


class StoreBroken(FleetError):  # noqa: N818 (it reads as what happened)
    """A read, write or fsync failed, or the file is damaged: what is on disk is not known.

    A process that acknowledged writes must end on it: after a failed fsync the kernel forgets
    the dirty pages, and a second fsync would lie.
    """

    title = "the store is broken"


class StoreFull(FleetError):  # noqa: N818
    """The disk is full. Nothing of the transaction was kept; what was acknowledged is safe."""

    http_status = 507
    retryable = True
    title = "the disk is full"


class StoreBusy(TryAgain):
    """Another process holds the database longer than the wait allows."""

    title = "the store is busy"


class SchemaError(ConfigError):
    """The database was made by a release that this one can't follow, or a migration is wrong."""

    http_status = 500
    title = "the store's schema does not fit"


# Extended result codes (sqlite.org/rescode.html). A shared-memory file that can't grow is a full
# disk too: the write-ahead log was not touched.
_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_BROKEN: Final = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PROTOCOL,
    }
)


def translate(error: sqlite3.Error, path: str) -> Exception:
    """The store's error for SQLite's, or SQLite's own where it is a mistake in our SQL."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    name: str = getattr(error, "sqlite_errorname", type(error).__name__)
    if code in _FULL:
        return StoreFull(
            "no space left for what was to be written", where=path, mend="free disk space"
        )
    primary = code & 0xFF
    if primary in _BUSY:
        return StoreBusy("is held by another process", where=path, mend="try again")
    if primary in _BROKEN:
        return StoreBroken(
            f"{error} ({name})", where=path, mend="look at the disk and the kernel's log"
        )
    return error
