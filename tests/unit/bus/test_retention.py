"""What is settled and old is cleared away; what waits, and what must be remembered, stays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.bus.retention import Retention
from fleet_agent.bus.streams import Place
from fleet_agent.httpd.loop import Loop
from fleet_agent.limits import Limits
from tests.unit.bus.busparts import Boxes, message

LIMITS = Limits({"outbox_keep_seconds": 100, "message_ttl_seconds": 1000})
DAY = 86400


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[Boxes]:
    made = Boxes(tmp_path, LIMITS)
    yield made
    made.close()


def clear(boxes: Boxes, after: float, limits: Limits = LIMITS) -> bool:
    loop = Loop()
    more = Retention(loop, boxes.turn, limits).step(time.time() + after)
    boxes.turn.commit()
    loop.close()
    return more


def test_delivered_letters_are_known_for_a_while_and_then_cleared(boxes: Boxes) -> None:
    boxes.send("bezalel", "allegro", type="broadcast", to="*")
    boxes.send("bezalel", id="waits")
    boxes.turn.execute("UPDATE delivery SET state = 1, settled_at = ? WHERE number = 1",
                       (time.time(),))  # fmt: skip
    clear(boxes, 50)
    assert len(boxes.rows("SELECT 1 FROM delivery")) == 3
    clear(boxes, 101)
    assert boxes.rows("SELECT receiver FROM delivery ORDER BY number") == [
        ("allegro",), ("bezalel",),
    ]  # fmt: skip
    assert len(boxes.rows("SELECT 1 FROM letter")) == 2, "one receiver still waits for it"
    boxes.turn.execute("UPDATE delivery SET state = 3, settled_at = 1 WHERE number = 2")
    clear(boxes, 101)
    assert boxes.rows("SELECT id FROM letter") == [("waits",)]


def test_dead_letters_stay_until_somebody_looked(boxes: Boxes) -> None:
    boxes.send()
    boxes.turn.execute("UPDATE delivery SET state = 2, settled_at = 1")
    clear(boxes, 10 * DAY)
    assert len(boxes.rows("SELECT 1 FROM delivery")) == 1


def test_handled_messages_are_remembered_longer_than_any_sender_tries(boxes: Boxes) -> None:
    boxes.turn.execute(
        "INSERT INTO inbox (sender, id, lane, received_at, body, state, settled_at) VALUES "
        "('b', 'handled', 0, 1, x'', 2, ?), ('b', 'open', 0, 1, x'', 0, NULL), "
        "('b', 'dead', 0, 1, x'', 3, NULL)", (time.time(),)
    )  # fmt: skip
    boxes.turn.execute("INSERT INTO stream VALUES ('b', 's', 5, ?)", (time.time(),))
    clear(boxes, 1000 + DAY - 10)
    assert len(boxes.rows("SELECT 1 FROM inbox")) == 3
    clear(boxes, 1000 + DAY + 10)
    assert boxes.rows("SELECT id FROM inbox ORDER BY seq") == [("open",), ("dead",)]
    assert boxes.rows("SELECT 1 FROM stream") == []


def test_much_is_cleared_in_steps(boxes: Boxes) -> None:
    boxes.send(*(f"w{number}" for number in range(600)), type="broadcast", to="*")
    boxes.turn.execute("UPDATE delivery SET state = 1, settled_at = 1")
    assert clear(boxes, 0)
    assert not clear(boxes, 0)
    assert boxes.rows("SELECT 1 FROM letter") == []


def test_a_crowded_file_forgets_what_was_delivered_before_its_time(tmp_path: Path) -> None:
    small = Limits({"inbox_bytes": 2**20, "outbox_keep_seconds": 1000})
    boxes = Boxes(tmp_path, small)
    for _ in range(10):
        boxes.send(payload="x" * 60_000)
    boxes.turn.execute("UPDATE delivery SET state = 1, settled_at = ?", (time.time() - 1,))
    boxes.turn.commit()
    before = boxes.turn.bytes
    clear(boxes, 0, small)
    assert boxes.rows("SELECT 1 FROM letter") == []
    boxes.send()
    assert boxes.turn.bytes < before / 2, "the pages are free to be used again"
    boxes.close()


@pytest.mark.parametrize("placed", [True, False])
def test_a_box_that_is_worked_off_never_fills_and_knows_repeats(
    tmp_path: Path, placed: bool
) -> None:
    small = Limits({"inbox_bytes": 2**20})
    boxes = Boxes(tmp_path, small)
    loop = Loop()
    retention = Retention(loop, boxes.turn, small)
    waits = message(**{"from": "allegro", "to": "ezra", "id": "waits"})
    boxes.inbox.put(waits, boxes.done)
    count = 4000
    for number in range(count):
        one = message(**{"from": "bezalel", "to": "ezra", "id": f"n{number}"}, payload="x" * 600)
        place = Place("bezalel", "s", number, number + 1) if placed else None
        boxes.inbox.put(one, boxes.done, place)
        if number % 100 == 99:
            boxes.turn.commit()
            for _ in range(100):
                (leased,) = [one for one in boxes.leases.lease(limit=2) if one.sender == "bezalel"]
                boxes.leases.ack(leased.receipt)
            boxes.turn.commit()
            while retention.step(time.time() + 61):
                boxes.turn.commit()
            boxes.turn.commit()
    assert boxes.turn.bytes < 2**20 * 0.8
    assert boxes.inbox.depth == 1
    assert {outcome.name for _, outcome in boxes.told} == {"ACCEPTED"}
    remembered = {row[0] for row in boxes.rows("SELECT id FROM inbox")}
    assert "waits" in remembered
    # A place in a stream is memory enough; another's id is kept, whatever its body was.
    assert (len(remembered) < count / 2) == placed
    again = message(**{"from": "bezalel", "to": "ezra", "id": "n0"}, payload="x" * 600)
    boxes.inbox.put(again, boxes.done, Place("bezalel", "s", 0, 1) if placed else None)
    boxes.turn.commit()
    assert boxes.told[-1][1].name == "DUPLICATE"
    boxes.close()
    loop.close()
