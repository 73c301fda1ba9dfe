"""Several messages in one turn, which are written together: each is told what it would be alone."""

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

IDS = "SELECT id FROM inbox ORDER BY seq"


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[Boxes]:
    made = Boxes(tmp_path, Limits({"inbox_messages": 100}))
    yield made
    made.close()


def take(boxes: Boxes, id_: str, *place: int, **changes: Any) -> None:
    """Put one message into the turn; ``place`` is its stream's after and number."""
    one = message(**{"id": id_, "from": "bezalel", "to": "ezra", **changes})
    where = Place("bezalel", "s", *place) if place else None
    boxes.inbox.put(one, boxes.done, where)


def told(boxes: Boxes) -> list[tuple[str, Any]]:
    """Commit; what was told in this turn."""
    begun = len(boxes.told)
    boxes.turn.commit()
    return [
        (id_, type(one) if isinstance(one, Exception) else one) for id_, one in boxes.told[begun:]
    ]


def test_repeats_within_a_turn_and_of_the_turns_before_are_told_apart(boxes: Boxes) -> None:
    take(boxes, "old")
    told(boxes)
    take(boxes, "new")
    take(boxes, "old")
    take(boxes, "new")
    take(boxes, "new", payload="other")
    take(boxes, "old", payload="other")
    take(boxes, "last")
    assert told(boxes) == [
        ("new", Outcome.ACCEPTED),
        ("old", Outcome.DUPLICATE),
        ("new", Outcome.DUPLICATE),
        ("new", Outcome.CONFLICT),
        ("old", Outcome.CONFLICT),
        ("last", Outcome.ACCEPTED),
    ]
    assert boxes.rows(IDS) == [("old",), ("new",), ("last",)]
    assert boxes.inbox.depth == 3


def test_behind_a_conflict_its_stream_is_out_of_order_and_goes_on_from_before(boxes: Boxes) -> None:
    take(boxes, "a", 0, 1)
    told(boxes)
    take(boxes, "b", 1, 2)
    take(boxes, "a", 2, 3, payload="other")
    take(boxes, "c", 3, 4)
    take(boxes, "apart")
    assert told(boxes) == [
        ("b", Outcome.ACCEPTED),
        ("a", Outcome.CONFLICT),
        ("c", OutOfOrder),
        ("apart", Outcome.ACCEPTED),
    ]
    assert boxes.rows(IDS) == [("a",), ("b",), ("apart",)]
    assert boxes.rows("SELECT high FROM stream") == [(2,)]
    take(boxes, "c", 0, 4)
    assert told(boxes) == [("c", Outcome.ACCEPTED)]


def test_the_sender_may_begin_anew_behind_a_conflict_in_the_same_turn(boxes: Boxes) -> None:
    take(boxes, "a", 0, 1)
    take(boxes, "a", 1, 2, payload="other")
    take(boxes, "b", 0, 3)
    take(boxes, "c", 3, 4)
    assert [what for _, what in told(boxes)] == [
        Outcome.ACCEPTED, Outcome.CONFLICT, Outcome.ACCEPTED, Outcome.ACCEPTED,
    ]  # fmt: skip
    assert boxes.rows("SELECT high FROM stream") == [(4,)]


def test_what_was_refused_for_its_order_may_come_again_in_the_same_turn(boxes: Boxes) -> None:
    take(boxes, "a", 0, 1)
    take(boxes, "a", 1, 2, payload="other")
    take(boxes, "b", 2, 3)
    take(boxes, "b", 0, 4)
    take(boxes, "b")
    assert [what for _, what in told(boxes)] == [
        Outcome.ACCEPTED, Outcome.CONFLICT, OutOfOrder, Outcome.ACCEPTED, Outcome.DUPLICATE,
    ]  # fmt: skip
    assert boxes.rows(IDS) == [("a",), ("b",)]
    assert boxes.rows("SELECT high FROM stream") == [(4,)]


def test_a_refused_place_that_comes_again_in_its_turn_is_no_duplicate(boxes: Boxes) -> None:
    take(boxes, "a", 0, 1)
    take(boxes, "a", 1, 2, payload="other")
    take(boxes, "a", 1, 2, payload="other")
    assert [what for _, what in told(boxes)] == [
        Outcome.ACCEPTED, Outcome.CONFLICT, Outcome.CONFLICT,
    ]  # fmt: skip


def test_repeats_take_no_room_from_those_behind_them(boxes: Boxes) -> None:
    for number in range(99):
        take(boxes, f"m{number}")
    for number in range(99):
        take(boxes, f"m{number}")
    take(boxes, "last")
    with pytest.raises(BoxFull):
        take(boxes, "one-too-many")
    take(boxes, "m0")
    assert [what for _, what in told(boxes)].count(Outcome.ACCEPTED) == 100
    assert boxes.inbox.depth == 100


def test_all_of_a_turn_that_is_undone_are_told_of_it(boxes: Boxes) -> None:
    take(boxes, "a")
    told(boxes)
    connection = boxes.turn.store.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    take(boxes, "b")
    take(boxes, "large", payload="x" * 60_000)
    take(boxes, "a")
    boxes.turn.commit()
    assert [getattr(what, "http_status", 0) for _, what in boxes.told[1:]] == [507] * 3
    assert boxes.rows(IDS) == [("a",)]
    assert boxes.inbox.depth == 1
    connection.execute("PRAGMA max_page_count=100000")
    take(boxes, "b")
    assert told(boxes) == [("b", Outcome.ACCEPTED)]


def test_an_answer_of_this_turn_is_found_before_the_commit(boxes: Boxes) -> None:
    take(boxes, "answer", type="response", in_reply_to="question")
    found = boxes.inbox.reply_to("question", "ezra")
    assert found is not None
    assert b'"answer"' in found
    assert told(boxes) == [("answer", Outcome.ACCEPTED)]
