"""Migrations: in order, whole or not at all, and what versions that meet may do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from fleet_agent.store.errors import SchemaError
from fleet_agent.store.migrate import from_folder, read
from fleet_agent.store.sqlite import open_store

ONE = "CREATE TABLE thing (\n  id INTEGER PRIMARY KEY\n);\n"
TWO = (
    "-- a name for things\nALTER TABLE thing ADD COLUMN name TEXT;\n"
    "CREATE INDEX n ON thing (name);\n"
)


def folder(at: Path, *texts: str) -> str:
    at.mkdir(exist_ok=True)
    for number, text in enumerate(texts, start=1):
        (at / f"{number:04d}.sql").write_text(text)
    return str(at)


def version(path: str) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def test_a_new_file_gets_all_of_them_and_a_second_open_changes_nothing(tmp_path: Path) -> None:
    schema = folder(tmp_path / "schema", ONE, TWO)
    path = str(tmp_path / "a.db")
    for _ in range(2):
        store = open_store(path, from_folder(schema))
        store.connection.execute("SELECT id, name FROM thing")
        rows = store.connection.execute("SELECT number FROM schema_migration").fetchall()
        assert rows == [(1,), (2,)]
        store.close()
    assert version(path) == 2


def test_an_old_file_is_brought_up_and_keeps_its_rows(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    store = open_store(path, from_folder(folder(tmp_path / "one", ONE)))
    store.connection.execute("INSERT INTO thing VALUES (7)")
    store.close()
    store = open_store(path, from_folder(folder(tmp_path / "two", ONE, TWO)))
    assert store.connection.execute("SELECT id, name FROM thing").fetchall() == [(7, None)]


def test_a_migration_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    broken = "CREATE TABLE other (id INTEGER);\nCREATE TABLE thing (id INTEGER);\n"
    path = str(tmp_path / "a.db")
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        open_store(path, from_folder(folder(tmp_path / "schema", ONE, broken)))
    assert version(path) == 1
    connection = sqlite3.connect(path)
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    connection.close()
    assert "other" not in names


def test_the_release_before_still_opens_what_the_newer_one_made(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    open_store(path, from_folder(folder(tmp_path / "two", ONE, TWO))).close()
    store = open_store(path, from_folder(folder(tmp_path / "one", ONE)))
    store.connection.execute("INSERT INTO thing (id) VALUES (1)")
    assert version(path) == 2


def test_a_file_that_says_it_needs_newer_code_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    schema = folder(tmp_path / "two", ONE, "-- oldest: 2\nDROP TABLE thing;\n")
    open_store(path, from_folder(schema)).close()
    with pytest.raises(SchemaError, match="has schema 2, which needs code for schema 2"):
        open_store(path, from_folder(folder(tmp_path / "one", ONE)))


def test_a_gap_in_the_numbers_is_a_mistake(tmp_path: Path) -> None:
    schema = Path(folder(tmp_path / "schema", ONE))
    (schema / "0003.sql").write_text(TWO)
    with pytest.raises(SchemaError, match=r"expected 0002\.sql, found 0003\.sql"):
        read(str(schema))


def test_a_missing_semicolon_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="ends within a statement"):
        read(folder(tmp_path / "schema", "CREATE TABLE x (id INTEGER)"))


def test_a_trigger_is_one_statement(tmp_path: Path) -> None:
    text = ONE + (
        "CREATE TRIGGER t AFTER INSERT ON thing BEGIN\n"
        "  DELETE FROM thing WHERE id < 0;\n  DELETE FROM thing WHERE id > 9;\nEND;\n"
    )
    assert len(read(folder(tmp_path / "schema", text))[0].statements) == 2
