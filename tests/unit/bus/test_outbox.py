"""The outbox: accepted means committed, one delivery a receiver, bounded, repeats known."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.bus.inbox import BoxFull
from fleet_agent.bus.intake import Outcome
from fleet_agent.bus.outbox import Late, Row
from fleet_agent.limits import Limits
from fleet_agent.store.errors import StoreFull
from tests.unit.bus.busparts import Boxes, message

LIMITS = Limits({"outbox_messages": 100, "outbox_peer_messages": 10})


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[Boxes]:
    made = Boxes(tmp_path, LIMITS)
    yield made
    made.close()


def waiting(boxes: Boxes, receiver: str = "bezalel", lane: int = 0, after: int = 0) -> list[Row]:
    return boxes.outbox.rows(receiver, lane, after, 1 << 20)


def test_nobody_hears_anything_before_the_commit(boxes: Boxes) -> None:
    fresh: list[object] = []
    boxes.outbox.on_waiting(fresh.extend)
    boxes.outbox.put(message(id="a"), ("bezalel",), boxes.done)
    assert (boxes.told, fresh, boxes.rows("SELECT id FROM letter")) == ([], [], [])
    boxes.turn.commit()
    assert boxes.told == [("a", Outcome.ACCEPTED)]
    assert len(fresh) == 1
    assert boxes.rows("SELECT id FROM letter") == [("a",)]


def test_an_id_is_made_and_travels_in_the_body(boxes: Boxes) -> None:
    id_ = boxes.send()
    (row,) = waiting(boxes)
    assert json.loads(row.body)["id"] == row.id == id_
    assert len(id_) == 36


def test_a_repeat_is_known_and_another_body_too(boxes: Boxes) -> None:
    boxes.send(id="a")
    boxes.send(id="a")
    boxes.send(id="a", payload=2)
    assert [outcome for _, outcome in boxes.told] == [
        Outcome.ACCEPTED, Outcome.DUPLICATE, Outcome.CONFLICT,
    ]  # fmt: skip
    assert len(waiting(boxes)) == 1


def test_each_receiver_has_its_own_delivery_of_one_letter(boxes: Boxes) -> None:
    boxes.send("bezalel", "allegro", type="broadcast", to="*")
    assert len(waiting(boxes)) == len(waiting(boxes, "allegro")) == 1
    assert boxes.outbox.waiting == {"bezalel": 1, "allegro": 1}
    assert boxes.rows("SELECT count(*) FROM letter") == [(1,)]
    (row,) = waiting(boxes)
    boxes.outbox.delivered("bezalel", 0, row.number, row.number)
    assert boxes.outbox.waiting == {"allegro": 1}


def test_alerts_have_a_lane_and_the_longest_time(boxes: Boxes) -> None:
    boxes.send(type="alert")
    boxes.send()
    (alert,), (other,) = waiting(boxes, lane=1), waiting(boxes)
    assert alert.expires_at - other.expires_at > 5 * 86400


def test_rows_come_in_order_behind_a_number_and_in_bounded_parts(boxes: Boxes) -> None:
    ids = [boxes.send(payload="x" * 1000) for _ in range(5)]
    found = boxes.outbox.rows("bezalel", 0, 0, 2000)
    assert [row.id for row in found] == ids[:2]
    rest = boxes.outbox.rows("bezalel", 0, found[-1].number, 1 << 20)
    assert [row.id for row in rest] == ids[2:]
    assert [row.id for row in boxes.outbox.rows("bezalel", 0, 0, 1)] == ids[:1]


def test_a_full_queue_of_one_receiver_leaves_room_for_others(boxes: Boxes) -> None:
    for number in range(10):
        boxes.send(id=f"n{number}")
    with pytest.raises(BoxFull, match="10 messages wait for bezalel"):
        boxes.send()
    with pytest.raises(BoxFull):
        boxes.send("allegro", "bezalel")
    boxes.send("allegro")
    boxes.send(id="n3")
    assert [outcome for _, outcome in boxes.told[-2:]] == [Outcome.ACCEPTED, Outcome.DUPLICATE]


def test_a_full_outbox_says_so(boxes: Boxes) -> None:
    for number in range(10):
        for receiver in range(10):
            boxes.send(f"w{receiver}", id=f"n{number}-{receiver}")
    with pytest.raises(BoxFull, match="100 messages wait in the outbox") as caught:
        boxes.send("another")
    assert caught.value.http_status == 429


def test_the_outbox_leaves_a_part_of_the_file_to_the_inbox(tmp_path: Path) -> None:
    boxes = Boxes(tmp_path, Limits({"inbox_bytes": 2**20}))
    with pytest.raises(BoxFull, match="the file of the boxes"):
        for _ in range(30):
            boxes.send(payload="x" * 50_000)
    own = message(**{"from": "bezalel", "to": "ezra", "id": "mine"})
    boxes.inbox.put(own, boxes.done)
    boxes.turn.commit()
    assert boxes.told[-1] == ("mine", Outcome.ACCEPTED)
    boxes.close()


def test_a_full_disk_undoes_the_turn_and_counts_are_right_again(boxes: Boxes) -> None:
    boxes.send()
    connection = boxes.turn.store.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    boxes.send(payload="x" * 50_000)
    assert isinstance(boxes.told[-1][1], StoreFull)
    assert (boxes.outbox.depth, boxes.outbox.waiting) == (1, {"bezalel": 1})
    connection.execute("PRAGMA max_page_count=1000000")
    boxes.send()
    assert len(waiting(boxes)) == boxes.outbox.depth == 2


def test_a_first_turn_that_is_undone_leaves_no_stream_behind(tmp_path: Path) -> None:
    boxes = Boxes(tmp_path, LIMITS)
    connection = boxes.turn.store.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    boxes.send(payload="x" * 50_000)
    connection.execute("PRAGMA max_page_count=1000000")
    boxes.send()
    (row,) = waiting(boxes)
    streams = boxes.rows("SELECT stream FROM start")
    assert [(boxes.outbox.stream_of(row.number),)] == streams
    boxes.close()


def test_each_start_has_a_stream_of_its_own_and_old_rows_keep_theirs(tmp_path: Path) -> None:
    boxes = Boxes(tmp_path, LIMITS)
    boxes.send()
    (old,) = waiting(boxes)
    stream = boxes.outbox.stream_of(old.number)
    boxes.close()
    boxes = Boxes(tmp_path, LIMITS)
    boxes.send()
    first, second = waiting(boxes)
    assert first == old
    assert boxes.outbox.depth == 2
    assert boxes.outbox.stream_of(first.number) == stream
    assert boxes.outbox.stream_of(second.number) not in ("", stream)
    boxes.close()


def test_a_number_is_never_given_twice_even_when_all_is_cleared_away(tmp_path: Path) -> None:
    boxes = Boxes(tmp_path, LIMITS)
    boxes.send()
    (old,) = waiting(boxes)
    boxes.turn.execute("DELETE FROM delivery")
    boxes.turn.execute("DELETE FROM letter")
    boxes.close()
    boxes = Boxes(tmp_path, LIMITS)
    boxes.send()
    (new,) = waiting(boxes)
    assert new.number > old.number
    boxes.close()


def test_what_is_given_up_is_told_in_the_same_commit(boxes: Boxes) -> None:
    id_ = boxes.send(ttl=60)
    (late,) = boxes.outbox.expired(time.time() + 61, 10)
    assert late == Late(late.number, "bezalel", 0, id_)
    boxes.outbox.dead(late, "why")
    assert boxes.rows("SELECT 1 FROM inbox") == []
    boxes.turn.commit()
    assert boxes.rows("SELECT state, reason FROM delivery") == [(2, "why")]
    ((body,),) = boxes.rows("SELECT body FROM inbox")
    told = json.loads(body)
    assert (told["from"], told["to"], told["type"], told["in_reply_to"]) == (
        "ezra", "ezra", "response", id_,
    )  # fmt: skip
    assert told["payload"]["reason"] == "why"
    assert boxes.outbox.depth == 0


def test_what_was_delivered_meanwhile_is_not_given_up(boxes: Boxes) -> None:
    boxes.send()
    (row,) = waiting(boxes)
    boxes.outbox.delivered("bezalel", 0, row.number, row.number)
    boxes.outbox.dead(Late(row.number, "bezalel", 0, row.id), "too late")
    boxes.turn.commit()
    assert boxes.rows("SELECT state FROM delivery") == [(1,)]
    assert boxes.rows("SELECT 1 FROM inbox") == []
