"""Who waits for messages: what a turn that is undone, or a connection that goes away between lease
and answer, leaves behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.gateway.waiters import TooManyWaiters, Waiters, Wish
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.loop import Loop
from fleet_agent.httpd.types import Response
from fleet_agent.limits import Limits
from tests.unit.bus.busparts import Boxes, message

ANY = Wish(1, None, None)


class Room:
    """A box, a loop that is turned by hand, and those who wait."""

    def __init__(self, folder: Path, **limits: float) -> None:
        self.boxes = Boxes(folder, Limits(limits))
        self.loop = Loop()
        self.waiters = Waiters(
            self.loop, self.boxes.turn, self.boxes.leases, Limits(limits),
            dispatched=lambda kind: kind == "request",
        )  # fmt: skip
        self.loop.on_turn_end(self.boxes.turn.commit)

    def turn(self, count: int = 1) -> None:
        for _ in range(count):
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.loop.run()

    def arrives(self, **changes: Any) -> None:
        one = message(**{"from": "bezalel", "to": "ezra", "type": "alert"} | changes)
        self.boxes.inbox.put(one, self.boxes.done)
        self.turn()

    def waits(self, wish: Wish = ANY) -> Deferred:
        answer = self.waiters.take(wish, 20)
        assert isinstance(answer, Deferred)
        return answer


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.boxes.close()
    made.loop.close()


def messages(answer: Deferred | Response) -> list[Any]:
    response = answer.response if isinstance(answer, Deferred) else answer
    assert response is not None
    found: list[Any] = json.loads(response.body)["messages"]
    return found


def test_the_answer_waits_for_the_commit_of_the_lease(room: Room) -> None:
    room.arrives(id="a")
    answer = room.waits()
    assert answer.response is None
    assert room.boxes.rows("SELECT state FROM inbox") == [(0,)]
    room.boxes.turn.commit()
    assert [one["id"] for one in messages(answer)] == ["a"]
    assert room.boxes.rows("SELECT state FROM inbox") == [(1,)]


def test_first_come_first_served(room: Room) -> None:
    first, second = room.waits(), room.waits()
    room.arrives(id="a")
    room.turn(2)
    assert [one["id"] for one in messages(first)] == ["a"]
    assert second.response is None
    assert room.waiters.count == 1


def test_one_who_wants_something_else_is_no_hindrance(room: Room) -> None:
    picky, other = room.waits(Wish(1, None, frozenset({"response"}))), room.waits()
    room.arrives(id="a")
    room.turn(2)
    assert picky.response is None
    assert [one["id"] for one in messages(other)] == ["a"]


def test_one_that_went_away_while_it_waited_gets_nothing(room: Room) -> None:
    answer = room.waits()
    answer.cancel()
    assert room.waiters.count == 0
    room.arrives(id="a")
    room.turn(2)
    assert messages(answer) == []
    assert room.boxes.rows("SELECT state, attempts FROM inbox") == [(0, 0)]


def test_what_was_leased_for_one_that_went_away_before_the_commit_is_put_back(room: Room) -> None:
    room.arrives(id="a")
    answer = room.waits()
    answer.cancel()
    room.turn(3)
    assert room.boxes.rows("SELECT state, attempts FROM inbox") == [(0, 0)]
    again = room.waits()
    room.turn()
    assert messages(again)[0]["attempt"] == 1


def test_a_turn_that_is_undone_tells_who_would_have_got_it_and_loses_nothing(room: Room) -> None:
    room.arrives(id="a", payload="x" * 5000)
    connection = room.boxes.turn.store.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    answer = room.waits()
    room.boxes.inbox.put(message(id="big", payload="x" * 50_000), room.boxes.done)
    room.turn()
    assert answer.response is not None
    assert answer.response.status == 507
    connection.execute("PRAGMA max_page_count=1000000")
    assert room.boxes.rows("SELECT state, attempts FROM inbox") == [(0, 0)]
    again = room.waits()
    room.turn()
    assert [one["id"] for one in messages(again)] == ["a"]


def test_what_a_handler_gets_is_nobodys_to_pull(room: Room) -> None:
    room.arrives(type="request")
    assert messages(room.waiters.take(ANY, 0)) == []
    assert messages(room.waiters.take(Wish(1, None, frozenset({"request"})), 0)) == []


def test_when_its_time_is_over_it_is_told_that_there_is_nothing(tmp_path: Path) -> None:
    room = Room(tmp_path, inbox_poll_seconds=0.01)
    answer = room.waits()
    while answer.response is None:
        room.loop.call_later(0.01, room.loop.stop)
        room.loop.run()
    assert messages(answer) == []
    assert room.waiters.count == 0
    room.boxes.close()
    room.loop.close()


def test_at_the_end_all_are_told_and_nobody_waits_any_more(room: Room) -> None:
    answers = [room.waits(), room.waits()]
    room.waiters.end()
    assert [messages(answer) for answer in answers] == [[], []]
    assert messages(room.waiters.take(ANY, 20)) == []


def test_more_than_allowed_are_refused(tmp_path: Path) -> None:
    room = Room(tmp_path, inbox_waiters=1)
    room.waits()
    with pytest.raises(TooManyWaiters) as caught:
        room.waiters.take(ANY, 20)
    assert (caught.value.http_status, caught.value.retryable) == (429, True)
    room.boxes.close()
    room.loop.close()
