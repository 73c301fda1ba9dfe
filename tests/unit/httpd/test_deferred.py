import pytest

from fleet_agent.errors import IllegalMove
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.types import Response


def test_the_answer_reaches_who_waits() -> None:
    deferred, got = Deferred(), list[Response]()
    deferred.on_resolve(got.append)
    deferred.resolve(Response(202))
    assert got == [Response(202)]
    assert deferred.response == Response(202)


def test_a_second_answer_is_a_bug() -> None:
    deferred = Deferred()
    deferred.resolve(Response(202))
    with pytest.raises(IllegalMove, match="resolved"):
        deferred.resolve(Response(500))


def test_cancelling_tells_those_who_work_on_it_once() -> None:
    deferred, told = Deferred(), list[str]()
    deferred.on_cancel(lambda: told.append("a"))
    deferred.cancel()
    deferred.cancel()
    assert deferred.cancelled
    assert told == ["a"]


def test_who_asks_after_the_cancelling_is_told_at_once() -> None:
    deferred, told = Deferred(), list[str]()
    deferred.cancel()
    deferred.on_cancel(lambda: told.append("late"))
    assert told == ["late"]


def test_a_resolved_answer_cannot_be_cancelled() -> None:
    deferred, told = Deferred(), list[str]()
    deferred.on_cancel(lambda: told.append("never"))
    deferred.resolve(Response(202))
    deferred.cancel()
    assert not deferred.cancelled
    assert told == []


def test_a_cancelled_one_can_still_be_resolved() -> None:
    deferred, got = Deferred(), list[Response]()
    deferred.on_resolve(got.append)
    deferred.cancel()
    deferred.resolve(Response(202))
    assert got == [Response(202)]
