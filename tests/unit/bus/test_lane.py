"""One lane: what is sent next, and what answers make of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.bus.batch import KEPT, Kind, Verdict
from fleet_agent.bus.lane import Flight, Lane
from fleet_agent.bus.outbox import Waiting
from fleet_agent.limits import Limits
from tests.unit.bus.busparts import Boxes, message

LIMITS = Limits({"outbox_batch_lines": 3, "outbox_refusals": 2})
AGAIN = Verdict(Kind.AGAIN, "429: full")
BEHIND = Verdict(Kind.BEHIND, "412")
REFUSED = Verdict(Kind.REFUSED, "400: wrong")
SETTLING = Verdict(Kind.SETTLING, "403: who?")
TOO_LARGE = Verdict(Kind.TOO_LARGE, "413: large")


class Sender:
    """A lane to bezalel over a real outbox."""

    def __init__(self, folder: Path, messages: int = 0) -> None:
        self.boxes = Boxes(folder, LIMITS)
        self.lane = Lane(self.boxes.outbox, "bezalel", 0, LIMITS)
        self.boxes.outbox.on_waiting(self._fresh)
        for number in range(messages):
            self.boxes.send(id=f"n{number}")

    def _fresh(self, fresh: list[Waiting]) -> None:
        for one in fresh:
            self.lane.offer(one.row)

    def next(self) -> Flight | None:
        return self.lane.next(time.time())

    def flight(self) -> Flight:
        found = self.next()
        assert found is not None
        return found

    def answered(self, flight: Flight, *verdicts: Verdict) -> Verdict | None:
        said = self.lane.answered(flight, list(verdicts) or [KEPT] * len(flight.rows))
        self.boxes.turn.commit()
        return said

    def states(self) -> str:
        rows = self.boxes.rows(
            "SELECT d.state FROM delivery d JOIN letter l ON l.number = d.letter ORDER BY l.number"
        )
        return "".join(str(row[0]) for row in rows)


@pytest.fixture
def six(tmp_path: Path) -> Iterator[Sender]:
    made = Sender(tmp_path, 6)
    yield made
    made.boxes.close()


def ids(flight: Flight | None) -> list[str]:
    return [row.id for row in flight.rows] if flight else []


def test_what_was_found_before_its_commit_is_not_sent_twice(six: Sender) -> None:
    first, second = six.flight(), six.flight()
    six.boxes.outbox.put(message(id="n6"), ("bezalel",), six.boxes.done)
    third = six.flight()
    assert (ids(third), six.next()) == (["n6"], None)
    six.boxes.turn.commit()
    assert six.next() is None
    for flight in (first, second, third):
        assert six.answered(flight) == KEPT
    assert six.states() == "1111111"
    six.boxes.send(id="n7")
    assert ids(six.flight()) == ["n7"]


def test_batches_follow_each_other_and_name_who_came_before(six: Sender) -> None:
    first, second = six.flight(), six.flight()
    assert (ids(first), ids(second), six.next()) == (["n0", "n1", "n2"], ["n3", "n4", "n5"], None)
    assert (first.after, second.after) == (0, first.rows[-1].number)
    assert six.answered(first) == KEPT
    assert six.states() == "111000"
    assert six.answered(second) == KEPT
    assert six.states() == "111111"
    assert not six.lane.has_work()


def test_once_all_is_answered_nothing_must_come_before(six: Sender) -> None:
    six.answered(six.flight())
    assert six.flight().after == 0


def test_what_is_put_in_meanwhile_comes_last(six: Sender) -> None:
    six.flight()
    six.boxes.send(id="late")
    assert ids(six.flight()) == ["n3", "n4", "n5"]
    assert ids(six.next()) == ["late"]


def test_not_now_keeps_the_rest_and_begins_again_there(six: Sender) -> None:
    first, second = six.flight(), six.flight()
    assert six.answered(first, KEPT, AGAIN, BEHIND) == AGAIN
    assert six.next() is None, "answers to what is under way come first"
    assert six.answered(second, BEHIND, BEHIND, BEHIND) is None
    assert six.states() == "100000"
    again = six.flight()
    assert (ids(again), again.after) == (["n1", "n2", "n3"], 0)


def test_what_is_refused_for_good_is_given_up_and_the_rest_goes_on_at_once(six: Sender) -> None:
    first = six.flight()
    assert six.answered(first, KEPT, REFUSED, BEHIND) == KEPT
    assert six.states() == "120000"
    ((reason,),) = six.boxes.rows("SELECT reason FROM delivery WHERE state = 2")
    assert reason == "bezalel refused it: 400: wrong"
    assert ids(six.next()) == ["n2", "n3", "n4"]


def test_a_lost_connection_sends_the_same_again(six: Sender) -> None:
    first = six.flight()
    six.flight()
    six.lane.lost()
    again = six.flight()
    assert (again.rows, again.stream, again.after) == (first.rows, first.stream, 0)


def test_registries_that_differ_are_given_time(six: Sender) -> None:
    assert six.answered(six.flight(), SETTLING, BEHIND, BEHIND) == SETTLING
    assert six.states() == "000000"
    assert six.answered(six.flight(), SETTLING, BEHIND, BEHIND) is None
    assert six.states() == "200000"
    assert ids(six.next()) == ["n1", "n2", "n3"]


def test_too_large_a_batch_is_sent_line_by_line_and_grows_again(six: Sender) -> None:
    assert six.answered(six.flight(), TOO_LARGE, TOO_LARGE, TOO_LARGE) is None
    one = six.flight()
    assert ids(one) == ["n0"]
    six.answered(one, TOO_LARGE)
    assert six.states() == "200000"
    six.answered(six.flight())
    assert ids(six.flight()) == ["n2", "n3"]


def test_what_is_too_late_is_given_up_instead_of_sent(tmp_path: Path) -> None:
    sender = Sender(tmp_path)
    sender.boxes.send(id="short", ttl=1)
    sender.boxes.send(id="long")
    flight = sender.lane.next(time.time() + 2)
    sender.boxes.turn.commit()
    assert ids(flight) == ["long"]
    assert sender.states() == "20"
    sender.boxes.close()


def test_what_was_sent_and_never_answered_may_have_arrived_and_says_so(tmp_path: Path) -> None:
    sender = Sender(tmp_path)
    sender.boxes.send(id="sent", ttl=60)
    sender.flight()
    sender.lane.lost()
    sender.boxes.send(id="never", ttl=60)
    assert sender.lane.next(time.time() + 61) is None
    sender.boxes.turn.commit()
    reasons = [row[0] for row in sender.boxes.rows("SELECT reason FROM delivery ORDER BY number")]
    assert ["may have arrived" in reason for reason in reasons] == [True, False]
    sender.boxes.close()


def test_streams_do_not_overtake_each_other(tmp_path: Path) -> None:
    old = Sender(tmp_path, 2)
    old.boxes.close()
    new = Sender(tmp_path, 2)
    new.boxes.send(id="new")
    first = new.flight()
    assert ids(first) == ["n0", "n1"]
    assert new.next() is None, "the next stream waits for the answer"
    new.answered(first)
    second = new.flight()
    assert (ids(second), second.after) == (["new"], 0)
    assert second.stream != first.stream
    new.boxes.close()


def test_what_is_under_way_is_known_by_its_number(six: Sender) -> None:
    first = six.flight()
    assert [six.lane.flies(row.number) for row in first.rows] == [True] * 3
    assert not six.lane.flies(first.rows[-1].number + 1)


def test_more_than_the_buffer_holds_comes_in_order_from_the_disk(tmp_path: Path) -> None:
    sender = Sender(tmp_path)
    for number in range(40):
        sender.boxes.send(id=f"n{number}", payload="x" * 60_000)
    found: list[str] = []
    while (flight := sender.next()) is not None:
        found += ids(flight)
        sender.answered(flight)
    assert found == [f"n{number}" for number in range(40)]
    sender.boxes.close()
