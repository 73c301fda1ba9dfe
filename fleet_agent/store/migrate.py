"""Numbered migrations: schema/NNNN.sql files, applied in order, one transaction each.

The number reached is SQLite's ``user_version``. A migration leaves what the version before can
still open; one that can't says so, and older releases then refuse the file instead of harming it.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from fleet_agent.store.errors import SchemaError

_NAME: Final = re.compile(r"(\d{4})\.sql\Z")
# First line of a migration that releases older than schema N can't live with: ``-- oldest: N``.
_OLDEST: Final = re.compile(r"-- oldest: (\d+)\s*\Z")


class Migration(NamedTuple):
    """One file: its number, its statements, and the oldest schema whose code may still open."""

    number: int
    statements: tuple[str, ...]
    oldest: int | None


def from_folder(folder: str) -> Callable[[sqlite3.Connection, str], int]:
    """The ``migrate`` argument of ``store.sqlite.open_store`` for the files in ``folder``."""

    def run(connection: sqlite3.Connection, path: str) -> int:
        return migrate(connection, path, read(folder))

    return run


def read(folder: str) -> tuple[Migration, ...]:
    """The migrations in ``folder``, 0001 first. Raises SchemaError on a gap or broken SQL text."""
    names = sorted(name for name in os.listdir(folder) if _NAME.match(name))
    found = []
    for number, name in enumerate(names, start=1):
        if int(name[:4]) != number:
            raise SchemaError(f"expected {number:04d}.sql, found {name}", where=folder)
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            text = file.read()
        first = _OLDEST.match(text.partition("\n")[0])
        found.append(
            Migration(
                number,
                tuple(_statements(text, os.path.join(folder, name))),
                int(first.group(1)) if first else None,
            )
        )
    return tuple(found)


def migrate(connection: sqlite3.Connection, path: str, migrations: tuple[Migration, ...]) -> int:
    """Apply what is missing; returns the schema number that the file has now.

    A file of a newer release is left as it is and used, unless it says that code of this age
    can't open it: then SchemaError. A migration that fails leaves nothing behind.
    """
    newest = len(migrations)
    if _version(connection) >= newest:
        _refuse_too_new(connection, path, newest)
        return _version(connection)
    for migration in migrations:
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Asked inside the transaction: another process may have been faster.
            if _version(connection) < migration.number:
                _apply(connection, migration)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return _version(connection)


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migration "
        "(number INTEGER PRIMARY KEY, oldest INTEGER, applied_at INTEGER NOT NULL)"
    )
    for statement in migration.statements:
        connection.execute(statement)
    connection.execute(
        "INSERT INTO schema_migration VALUES (?, ?, CAST(strftime('%s', 'now') AS INTEGER))",
        (migration.number, migration.oldest),
    )
    connection.execute(f"PRAGMA user_version={migration.number:d}")


def _refuse_too_new(connection: sqlite3.Connection, path: str, newest: int) -> None:
    if _version(connection) == newest:
        return
    row = connection.execute(
        "SELECT max(oldest) FROM schema_migration WHERE number > ?", (newest,)
    ).fetchone()
    if row[0] is not None and row[0] > newest:
        raise SchemaError(
            f"has schema {_version(connection)}, which needs code for schema {row[0]} or newer; "
            f"this release knows {newest}",
            where=path,
            mend="install the newer release again",
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(text: str, path: str) -> Iterator[str]:
    """The single statements of ``text``: ``executescript`` would commit before it begins."""
    pending = ""
    for line in text.splitlines(keepends=True):
        if not pending and (not line.strip() or line.lstrip().startswith("--")):
            continue
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        raise SchemaError("ends within a statement", where=path, mend="a semicolon is missing")
