"""The record of a run: what was written is read again, and what a power cut tore is no event."""

from __future__ import annotations

from pathlib import Path

from tests.lab.bus.history import read, write


def test_events_are_read_as_they_were_written(tmp_path: Path) -> None:
    events = [{"what": "send", "t": 1.5, "at": "ezra", "id": "é"}, {"what": "ack", "status": 409}]
    write(tmp_path / "new" / "history.jsonl", events)
    assert list(read(tmp_path / "new" / "history.jsonl")) == events


def test_a_file_that_was_never_made_has_no_events(tmp_path: Path) -> None:
    assert list(read(tmp_path / "none.jsonl")) == []


def test_a_torn_last_line_is_no_event(tmp_path: Path) -> None:
    path = tmp_path / "torn.jsonl"
    path.write_bytes(b'{"n":1}\n{"n":2}\n{"n":')
    assert list(read(path)) == [{"n": 1}, {"n": 2}]


def test_zeros_in_place_of_what_was_not_on_disk_are_no_event(tmp_path: Path) -> None:
    path = tmp_path / "zeros.jsonl"
    path.write_bytes(b'{"n":1}\n\0\0\0\0{"n":2}\n\0\0\n\0\0\0')
    assert list(read(path)) == [{"n": 1}, {"n": 2}]
