"""Streams: a place is taken once, in order, and only with its message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.bus.inbox import BoxFull
from fleet_agent.bus.intake import Outcome
from fleet_agent.bus.streams import OutOfOrder, Place
from fleet_agent.limits import Limits
from tests.unit.bus.busparts import Boxes, message

LIMITS = Limits({"inbox_messages": 100})


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[Boxes]:
    made = Boxes(tmp_path, LIMITS)
    yield made
    made.close()


def put(boxes: Boxes, number: int, after: int = 0, stream: str = "s", **changes: Any) -> object:
    one = message(**{"id": f"{stream}-{number}", "from": "bezalel", "to": "ezra", **changes})
    boxes.inbox.put(one, boxes.done, Place("bezalel", stream, after, number))
    boxes.turn.commit()
    return boxes.told[-1][1]


def test_a_place_is_taken_once_whatever_came_with_it(boxes: Boxes) -> None:
    assert put(boxes, 5) is Outcome.ACCEPTED
    assert put(boxes, 5) is Outcome.DUPLICATE
    assert put(boxes, 4, id="never-seen") is Outcome.DUPLICATE
    assert put(boxes, 9) is Outcome.ACCEPTED
    assert boxes.rows("SELECT high FROM stream") == [(9,)]


def test_a_place_whose_predecessor_is_missing_is_out_of_order(boxes: Boxes) -> None:
    put(boxes, 5)
    with pytest.raises(OutOfOrder) as caught:
        put(boxes, 7, after=6)
    assert caught.value.http_status == 412
    assert put(boxes, 6, after=5) is Outcome.ACCEPTED
    assert put(boxes, 7, after=6) is Outcome.ACCEPTED


def test_streams_are_apart(boxes: Boxes) -> None:
    assert put(boxes, 5, stream="one") is Outcome.ACCEPTED
    assert put(boxes, 5, stream="two") is Outcome.ACCEPTED
    with pytest.raises(OutOfOrder):
        put(boxes, 6, after=5, stream="three")


def test_a_refused_message_leaves_the_mark_so_its_repeat_is_judged_anew(boxes: Boxes) -> None:
    for number in range(1, 101):
        put(boxes, number, after=number - 1)
    with pytest.raises(BoxFull):
        put(boxes, 101, after=100)
    with pytest.raises(OutOfOrder):
        put(boxes, 102, after=101)
    boxes.inbox.limits = Limits()
    assert put(boxes, 101, after=100) is Outcome.ACCEPTED
    assert put(boxes, 102, after=101) is Outcome.ACCEPTED


def test_another_message_under_a_known_id_leaves_the_mark(boxes: Boxes) -> None:
    put(boxes, 1, id="same")
    assert put(boxes, 2, after=1, id="same", payload="other") is Outcome.CONFLICT
    with pytest.raises(OutOfOrder):
        put(boxes, 3, after=2)
    assert put(boxes, 3) is Outcome.ACCEPTED


def test_a_known_id_with_the_same_bytes_takes_its_new_place(boxes: Boxes) -> None:
    put(boxes, 1, stream="old", id="same")
    assert put(boxes, 1, stream="new", id="same") is Outcome.DUPLICATE
    assert put(boxes, 2, after=1, stream="new") is Outcome.ACCEPTED


def test_a_turn_that_is_undone_takes_its_places_back(boxes: Boxes) -> None:
    put(boxes, 1)
    connection = boxes.turn.store.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    put(boxes, 2, after=1, payload="x" * 50_000)
    assert getattr(boxes.told[-1][1], "http_status", 0) == 507
    connection.execute("PRAGMA max_page_count=1000000")
    with pytest.raises(OutOfOrder):
        put(boxes, 3, after=2)
    assert put(boxes, 2, after=1) is Outcome.ACCEPTED


def test_marks_outlive_a_restart(tmp_path: Path) -> None:
    boxes = Boxes(tmp_path, LIMITS)
    put(boxes, 5)
    boxes.close()
    boxes = Boxes(tmp_path, LIMITS)
    assert put(boxes, 5, id="cleared-away-meanwhile") is Outcome.DUPLICATE
    boxes.close()
