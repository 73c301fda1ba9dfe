"""Leases where the model's test does not reach: held responses, the timer, undone turns."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet_agent.bus.leases import LeaseOver
from fleet_agent.bus.leasetimer import LeaseTimer
from fleet_agent.bus.life import Got
from fleet_agent.bus.steady import Steady
from fleet_agent.httpd.loop import Loop
from fleet_agent.limits import Limits
from tests.unit.bus.busparts import Boxes, message


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.passed = 1000.0
        self.ahead = 0.0

    def clock(self) -> Steady:
        return Steady(lambda: self.passed + self.ahead, lambda: self.passed)


def opened(folder: Path, time: Time, **limits: float) -> Boxes:
    return Boxes(folder, Limits(limits), clock=time.clock())


def arrives(boxes: Boxes, id_: str, **changes: object) -> None:
    boxes.inbox.put(message(**{"id": id_, "from": "bezalel", "to": "ezra", **changes}), boxes.done)
    boxes.turn.commit()


def test_a_response_that_somebody_waits_for_is_held_back_for_a_while(tmp_path: Path) -> None:
    time = Time()
    boxes = opened(tmp_path, time)
    boxes.leases.hold("q", 30)
    arrives(boxes, "r", type="response", in_reply_to="q")
    arrives(boxes, "other", type="broadcast", to="*")
    assert boxes.leases.lease(limit=9) == (), "order of the pair is kept"
    assert boxes.leases.due() == 30
    time.passed += 30
    boxes.leases.ring()
    assert [one.id for one in boxes.leases.lease(limit=9)] == ["r"]
    boxes.close()


def test_who_waited_settles_all_responses_whoever_holds_them(tmp_path: Path) -> None:
    boxes = opened(tmp_path, Time())
    arrives(boxes, "first", type="response", in_reply_to="q")
    arrives(boxes, "second", type="response", in_reply_to="q")
    arrives(boxes, "after", type="response", in_reply_to="other")
    (held,) = boxes.leases.lease(limit=1)
    assert boxes.leases.answered("q") == 2
    boxes.leases.ack(held.receipt)
    with pytest.raises(LeaseOver, match="handled already"):
        boxes.leases.nack(held.receipt)
    assert [one.id for one in boxes.leases.lease(limit=9)] == ["after"]
    assert boxes.inbox.depth == 1
    boxes.close()


def test_a_clock_that_was_moved_while_the_daemon_was_down_holds_no_lease_for_ever(
    tmp_path: Path,
) -> None:
    time = Time()
    boxes = opened(tmp_path, time, inbox_lease_most_seconds=100)
    arrives(boxes, "a")
    boxes.leases.lease(limit=1, seconds=50)
    boxes.close()
    time.ahead -= 500
    boxes = opened(tmp_path, time, inbox_lease_most_seconds=100)
    assert boxes.leases.lease(limit=1) == ()
    time.passed += 100
    assert [one.attempt for one in boxes.leases.lease(limit=1)] == [2]
    boxes.close()


def test_a_lease_is_as_long_as_asked_and_no_longer_than_allowed(tmp_path: Path) -> None:
    time = Time()
    boxes = opened(tmp_path, time, inbox_lease_most_seconds=100, inbox_lease_seconds=10)
    for kind in ("request", "alert", "response"):
        more = {"in_reply_to": "q"} if kind == "response" else {}
        arrives(boxes, kind, type=kind, **more)
    spans = [
        boxes.leases.lease(limit=1, seconds=seconds, only=kind.__eq__)[0].leased_until - 1000
        for kind, seconds in (("alert", None), ("request", 5.0), ("response", 9999.0))
    ]
    assert spans == [10, 5, 100]
    boxes.close()


def test_an_undone_turn_undoes_leases_and_acks(tmp_path: Path) -> None:
    boxes = opened(tmp_path, Time())
    arrives(boxes, "a")
    arrives(boxes, "b", type="alert")
    (alarm,) = boxes.leases.lease(limit=1)
    boxes.turn.commit()
    boxes.leases.ack(alarm.receipt)
    (lost,) = boxes.leases.lease(limit=1)
    connection = boxes.turn.store.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    boxes.inbox.put(message(id="big", payload="x" * 50_000), boxes.done)
    boxes.turn.commit()
    connection.execute("PRAGMA max_page_count=1000000")
    assert (boxes.inbox.depth, boxes.leases.out) == (2, 1)
    with pytest.raises(LeaseOver):
        boxes.leases.ack(lost.receipt)
    boxes.leases.ack(alarm.receipt)
    assert [one.attempt for one in boxes.leases.lease(limit=9)] == [1]
    boxes.close()


def test_the_last_attempt_that_is_given_back_says_that_it_is_dead(tmp_path: Path) -> None:
    boxes = opened(tmp_path, Time(), inbox_attempts=1)
    arrives(boxes, "a")
    (one,) = boxes.leases.lease(limit=1)
    assert boxes.leases.nack(one.receipt, reason="x" * 9999) is Got.DEAD
    boxes.turn.commit()
    (row,) = boxes.rows("SELECT length(reason) FROM inbox")
    assert 500 <= row[0] < 600
    boxes.close()


def test_the_timer_rings_when_a_lease_ends_also_one_that_began_later(tmp_path: Path) -> None:
    boxes = Boxes(tmp_path, Limits())
    loop = Loop()
    timer = LeaseTimer(loop, boxes.turn, boxes.leases)
    loop.on_turn_end(boxes.turn.commit)
    timer.start()
    arrives(boxes, "a")
    arrives(boxes, "b", type="alert")
    boxes.leases.lease(limit=1, seconds=600)
    loop.call_next_turn(loop.stop)
    loop.run()
    boxes.leases.lease(limit=1, seconds=0.05)
    while boxes.leases.out == 2:
        loop.call_later(0.01, loop.stop)
        loop.run()
    assert [one.attempt for one in boxes.leases.lease(limit=1)] == [2]
    boxes.close()
    loop.close()
