"""The inbox: accepted means committed, byte for byte; repeats and full boxes say so."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.bus.ids import Ids
from fleet_agent.bus.inbox import SCHEMA, BoxFull, Inbox, open_turn
from fleet_agent.bus.intake import Outcome
from fleet_agent.bus.turn import Turn
from fleet_agent.errors import FleetError
from fleet_agent.limits import Limits
from fleet_agent.store.errors import StoreBroken, StoreBusy, StoreFull
from fleet_agent.store.migrate import from_folder
from fleet_agent.store.sqlite import open_store
from tests.unit.bus.busparts import Boxes, message

LIMITS = Limits({"inbox_messages": 100, "inbox_bytes": 1024 * 1024})
Told = list[tuple[str, Outcome | FleetError]]


@contextmanager
def box(folder: Path, limits: Limits = LIMITS) -> Iterator[Boxes]:
    failures: list[Exception] = []
    boxes = Boxes(folder, limits, failures.append)
    try:
        yield boxes
    finally:
        boxes.close()
    assert failures == []


def tell(told: Told) -> Any:
    return lambda id_, outcome: told.append((id_, outcome))


def rows(folder: Path, what: str = "sender, id, lane, body") -> list[Any]:
    connection = sqlite3.connect(folder / "bus.db")
    try:
        return connection.execute(f"SELECT {what} FROM inbox ORDER BY seq").fetchall()
    finally:
        connection.close()


def test_nobody_hears_anything_before_the_commit(tmp_path: Path) -> None:
    with box(tmp_path) as boxes:
        inbox = boxes.inbox
        told: Told = []
        inbox.put(message(id="a"), tell(told))
        assert told == []
        assert rows(tmp_path) == []
        boxes.turn.commit()
        assert told == [("a", Outcome.ACCEPTED)]
        assert [row[1] for row in rows(tmp_path)] == ["a"]


def test_a_body_is_stored_byte_for_byte_in_order_of_arrival(tmp_path: Path) -> None:
    sent = [message(id="b", spaces=3), message(id="a", payload="é\\"), message(id="c")]
    with box(tmp_path) as boxes:
        inbox = boxes.inbox
        for one in sent:
            inbox.put(one, tell([]))
        boxes.turn.commit()
    assert [row[3] for row in rows(tmp_path)] == [one.raw for one in sent]
    assert [row[1] for row in rows(tmp_path)] == ["b", "a", "c"]


def test_alerts_have_a_lane_of_their_own(tmp_path: Path) -> None:
    with box(tmp_path) as boxes:
        inbox = boxes.inbox
        inbox.put(message(id="a"), tell([]))
        inbox.put(message(id="b", type="alert"), tell([]))
    assert rows(tmp_path, "id, lane") == [("a", 0), ("b", 1)]


def test_a_message_without_an_id_is_given_one_each_time(tmp_path: Path) -> None:
    told: Told = []
    with box(tmp_path) as boxes:
        inbox = boxes.inbox
        inbox.put(message(), tell(told))
        inbox.put(message(), tell(told))
    first, second = (id_ for id_, _ in told)
    assert first < second
    assert [row[1] for row in rows(tmp_path)] == [first, second]


@pytest.mark.parametrize("commit_between", [True, False])
def test_a_repeat_is_a_duplicate_and_another_body_a_conflict(
    tmp_path: Path, commit_between: bool
) -> None:
    told: Told = []
    with box(tmp_path) as boxes:
        inbox = boxes.inbox
        for one in (
            message(id="a"),
            message(id="a"),
            message(id="a", spaces=1),
            message(**{"id": "a", "from": "allegro"}),
        ):
            inbox.put(one, tell(told))
            if commit_between:
                boxes.turn.commit()
        boxes.turn.commit()
        assert inbox.depth == 2
    assert [outcome for _, outcome in told] == [
        Outcome.ACCEPTED,
        Outcome.DUPLICATE,
        Outcome.CONFLICT,
        Outcome.ACCEPTED,
    ]
    assert [row[0] for row in rows(tmp_path)] == ["ezra", "allegro"]


def test_a_repeat_is_still_known_after_a_restart(tmp_path: Path) -> None:
    with box(tmp_path) as boxes:
        inbox = boxes.inbox
        inbox.put(message(id="a"), tell([]))
    told: Told = []
    with box(tmp_path) as boxes:
        inbox = boxes.inbox
        assert inbox.depth == 1
        inbox.put(message(id="a"), tell(told))
    assert told == [("a", Outcome.DUPLICATE)]


def test_a_box_full_of_messages_says_429_but_still_knows_a_repeat(tmp_path: Path) -> None:
    told: Told = []
    with box(tmp_path) as boxes:
        inbox = boxes.inbox
        for number in range(100):
            inbox.put(message(id=f"n{number}"), tell(told))
        with pytest.raises(BoxFull, match="100 messages wait") as caught:
            inbox.put(message(id="one-more"), tell(told))
        with pytest.raises(BoxFull):
            inbox.put(message(), tell(told))
        inbox.put(message(id="n7"), tell(told))
    assert (caught.value.http_status, caught.value.retryable) == (429, True)
    assert told[-1] == ("n7", Outcome.DUPLICATE)
    assert len(rows(tmp_path)) == 100


@pytest.mark.parametrize("in_one_turn", [True, False])
def test_a_box_full_of_bytes_says_429(tmp_path: Path, in_one_turn: bool) -> None:
    with box(tmp_path) as boxes, pytest.raises(BoxFull, match="1048576 bytes"):
        for number in range(20):
            boxes.inbox.put(message(id=f"n{number}", payload="x" * 100_000), tell([]))
            if not in_one_turn:
                boxes.turn.commit()
    assert 9 <= len(rows(tmp_path)) <= 11


def test_more_room_after_a_reload_takes_more(tmp_path: Path) -> None:
    with box(tmp_path) as boxes:
        inbox = boxes.inbox
        for number in range(100):
            inbox.put(message(id=f"n{number}"), tell([]))
        inbox.limits = Limits({"inbox_messages": 101})
        inbox.put(message(id="one-more"), tell([]))
        assert inbox.depth == 101


def test_a_full_disk_undoes_the_turn_tells_all_of_it_and_goes_on(tmp_path: Path) -> None:
    told: Told = []
    with box(tmp_path) as boxes:
        inbox = boxes.inbox
        inbox.put(message(id="kept"), tell(told))
        boxes.turn.commit()
        connection = boxes.turn.store.connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + 2}")
        inbox.put(message(id="small"), tell(told))
        inbox.put(message(id="large", payload="x" * 50_000), tell(told))
        inbox.put(message(id="after"), tell(told))
        boxes.turn.commit()
        assert inbox.depth == 1
        connection.execute("PRAGMA max_page_count=1000000")
        inbox.put(message(id="small"), tell(told))
        boxes.turn.commit()
        assert inbox.depth == 2
    assert told[0] == ("kept", Outcome.ACCEPTED)
    assert [type(outcome) for _, outcome in told[1:4]] == [StoreFull] * 3
    assert told[4] == ("small", Outcome.ACCEPTED)
    assert [row[1] for row in rows(tmp_path)] == ["kept", "small"]


def test_a_file_held_by_another_process_is_not_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet_agent.store.sqlite.BUSY_SECONDS", 0.05)
    told: Told = []
    with box(tmp_path) as boxes:
        inbox = boxes.inbox
        other = sqlite3.connect(tmp_path / "bus.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        inbox.put(message(id="a"), tell(told))
        boxes.turn.commit()
        other.execute("ROLLBACK")
        other.close()
        inbox.put(message(id="a"), tell(told))
        boxes.turn.commit()
    assert isinstance(told[0][1], StoreBusy)
    assert told[1] == ("a", Outcome.ACCEPTED)


def test_a_damaged_file_ends_it_without_telling_anybody(tmp_path: Path) -> None:
    with box(tmp_path) as boxes:
        inbox = boxes.inbox
        for number in range(50):
            inbox.put(message(id=f"n{number}", payload="x" * 3000), tell([]))
    damaged = bytearray((tmp_path / "bus.db").read_bytes())
    for at in range(4096, len(damaged), 4096):
        damaged[at : at + 200] = b"\xff" * 200
    (tmp_path / "bus.db").write_bytes(damaged)
    told: Told = []
    with pytest.raises(StoreBroken):
        turn = open_turn(str(tmp_path / "bus.db"), failed=lambda _: None)
        Inbox(turn, LIMITS, ids=Ids()).put(message(id="a"), tell(told))
        turn.commit()
    assert told == []


def test_after_a_checkpoint_that_the_disk_failed_nothing_is_committed(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "bus.db"), from_folder(SCHEMA))
    (tmp_path / "other.db").write_bytes(b"no database" * 500)
    store.path = str(tmp_path / "other.db")  # where checkpoints look
    failures: list[Exception] = []
    turn = Turn(store, failed=failures.append)
    inbox, told = Inbox(turn, LIMITS, ids=Ids()), []
    inbox.put(message(id="large"), tell(told))
    turn.wrote(64 * 1024 * 1024)  # as if: enough for a checkpoint
    turn.commit()
    turn._checkpointer.wait()
    assert [type(failure) for failure in failures] == [StoreBroken]
    inbox.put(message(id="after"), tell(told))
    with pytest.raises(StoreBroken):
        turn.commit()
    assert [id_ for id_, _ in told] == ["large"]
    store.close()
    assert [id_ for (id_,) in rows(tmp_path, "id")] == ["large"]
