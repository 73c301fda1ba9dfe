"""The store: what it promises about durability, privacy and errors, on real files."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from fleet_agent.store.errors import StoreBroken, StoreBusy, StoreFull, translate
from fleet_agent.store.sqlite import Checkpointer, open_for_reading, open_store


def make_table(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS thing (id INTEGER PRIMARY KEY, body BLOB)")


def test_every_commit_is_fsynced_through_the_write_ahead_log(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "a.db"), make_table)
    assert store.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store.connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_only_the_owner_can_read_the_file_its_log_and_its_shared_memory(tmp_path: Path) -> None:
    before = os.umask(0o000)
    try:
        store = open_store(str(tmp_path / "a.db"), make_table)
        with store.transaction() as connection:
            connection.execute("INSERT INTO thing (body) VALUES (x'00')")
    finally:
        os.umask(before)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert modes == {"a.db": 0o600, "a.db-wal": 0o600, "a.db-shm": 0o600}


def test_a_transaction_that_raises_leaves_nothing(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "a.db"), make_table)
    with pytest.raises(ZeroDivisionError), store.transaction() as connection:
        connection.execute("INSERT INTO thing (body) VALUES ('x')")
        _ = 1 / 0
    assert store.connection.execute("SELECT count(*) FROM thing").fetchone() == (0,)
    assert not store.connection.in_transaction


def test_what_was_committed_is_there_after_kill_9(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    code = (
        "import sys, os\n"
        "from fleet_agent.store.sqlite import open_store\n"
        "s = open_store(sys.argv[1], lambda c, p: c.execute("
        "'CREATE TABLE thing (id INTEGER PRIMARY KEY)'))\n"
        "for n in range(50):\n"
        "    with s.transaction() as c: c.execute('INSERT INTO thing VALUES (?)', (n,))\n"
        "    os.write(1, b'.')\n"
        "import time; time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert len(child.stdout.read(50)) == 50
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert os.path.getsize(path + "-wal") > 0
    store = open_store(path, make_table)
    assert os.path.getsize(path + "-wal") == 0, "the log must be empty before the first answer"
    assert store.connection.execute("SELECT count(*) FROM thing").fetchone() == (50,)


def test_a_reader_in_the_way_of_the_first_checkpoint_is_named_not_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet_agent.store.sqlite.BUSY_SECONDS", 0.05)
    path = str(tmp_path / "a.db")
    store = open_store(path, make_table)
    reader = open_for_reading(path)
    reader.connection.execute("BEGIN")
    reader.connection.execute("SELECT * FROM thing").fetchall()
    with store.transaction() as connection:
        connection.execute("INSERT INTO thing (body) VALUES ('x')")
    with pytest.raises(StoreBusy, match="its log could not be emptied"):
        open_store(path, make_table)


def test_two_writers_at_once_end_in_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet_agent.store.sqlite.BUSY_SECONDS", 0.05)
    path = str(tmp_path / "a.db")
    one, two = open_store(path, make_table), open_store(path, make_table)
    with one.transaction() as connection:
        connection.execute("INSERT INTO thing (body) VALUES ('x')")
        with pytest.raises(StoreBusy), two.transaction():
            raise AssertionError("the second writer must not come in")


def test_a_full_file_is_507_and_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "a.db"), make_table)
    with store.transaction() as connection:
        connection.execute("INSERT INTO thing (body) VALUES ('kept')")
    pages = store.connection.execute("PRAGMA page_count").fetchone()[0]
    store.connection.execute(f"PRAGMA max_page_count={pages + 1}")
    with pytest.raises(StoreFull) as caught, store.transaction() as connection:
        connection.execute("INSERT INTO thing (body) VALUES (zeroblob(100000))")
    assert caught.value.http_status == 507
    assert store.connection.execute("SELECT body FROM thing").fetchall() == [("kept",)]
    with store.transaction() as connection:
        connection.execute("INSERT INTO thing (body) VALUES ('again')")


def test_a_file_that_is_no_database_is_broken_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreBroken, match="not a database"):
        open_store(str(path), make_table)
    assert path.read_bytes() == b"this is no database" * 100


def test_a_failed_fsync_is_broken() -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
    assert isinstance(translate(error, "/x"), StoreBroken)


def test_a_mistake_in_sql_stays_a_bug(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "a.db"), make_table)
    with pytest.raises(sqlite3.OperationalError), store.transaction() as connection:
        connection.execute("SELEKT")


def test_a_reader_cannot_write_and_a_missing_file_is_not_made(tmp_path: Path) -> None:
    path = str(tmp_path / "odd?na%me#.db")
    with pytest.raises(StoreBroken):
        open_for_reading(path)
    assert list(tmp_path.iterdir()) == []
    open_store(path, make_table).close()
    with pytest.raises(StoreBroken), open_for_reading(path).transaction() as connection:
        connection.execute("INSERT INTO thing (body) VALUES ('x')")


def test_the_checkpointer_moves_the_log_into_the_file_beside_the_writer(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    store = open_store(path, make_table)
    failures: list[Exception] = []
    checkpointer = Checkpointer(path, every_frames=40, failed=failures.append)
    before = os.path.getsize(path)
    for _ in range(40):
        with store.transaction() as connection:
            connection.execute("INSERT INTO thing (body) VALUES (zeroblob(8192))")
        checkpointer.after_commit(8192)
    checkpointer.wait()
    assert os.path.getsize(path) > before + 8192
    assert failures == []
    assert store.connection.execute("SELECT count(*) FROM thing").fetchone() == (40,)


def test_a_failed_checkpoint_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"no database" * 500)
    failures: list[Exception] = []
    checkpointer = Checkpointer(str(tmp_path / "a.db"), every_frames=1, failed=failures.append)
    checkpointer.after_commit(1)
    checkpointer.wait()
    assert [type(failure) for failure in failures] == [StoreBroken]


@pytest.mark.parametrize("left", [0, 1, 31, 32, 33, 4000, 4152, 8000, 12_000, -1, -4096, -4100])
def test_a_log_that_was_cut_off_leaves_what_was_committed_before_the_cut(
    tmp_path: Path, left: int
) -> None:
    store = open_store(str(tmp_path / "a.db"), make_table)
    for number in range(20):
        with store.transaction() as db:
            db.execute("INSERT INTO thing (body) VALUES (?)", (number,))
    kept = tmp_path / "cut"
    kept.mkdir()
    for name in ("a.db", "a.db-wal"):  # as a machine without power leaves them
        (kept / name).write_bytes((tmp_path / name).read_bytes())
    store.close()
    log = kept / "a.db-wal"
    size = log.stat().st_size
    os.truncate(log, left if left >= 0 else size + left)
    with closing(open_store(str(kept / "a.db"), make_table)) as found:
        rows = [row[0] for row in found.connection.execute("SELECT body FROM thing ORDER BY id")]
        assert rows == list(range(len(rows))), "a prefix of what was committed, in its order"
        assert found.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        with found.transaction() as db:
            db.execute("INSERT INTO thing (body) VALUES (99)")
