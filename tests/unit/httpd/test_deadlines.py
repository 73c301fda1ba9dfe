import pytest

from fleet_agent.httpd.deadlines import Close, Deadlines, Times, overdue
from fleet_agent.httpd.reader import Stage
from fleet_agent.httpd.refusal import Refusal
from fleet_agent.limits import Limits

LIMITS = Deadlines(header=10, body=30, idle=75, write=20, answer=25, linger=2)
NOW = 1000.0
IDLE = Times(Stage.NOTHING, NOW, None, None, True, None)


def after(times: Times, seconds: float) -> Close | Refusal | None:
    return overdue(times, LIMITS, NOW + seconds)


@pytest.mark.parametrize(
    ("times", "seconds", "status"),
    [
        (IDLE._replace(stage=Stage.HEAD), 10, 408),
        (IDLE._replace(stage=Stage.BODY), 30, 408),
        (IDLE._replace(asked_since=NOW), 25, 503),
        (IDLE, 75, None),
        (IDLE._replace(served=False), 10, None),
        (IDLE._replace(unsent_since=NOW), 20, None),
        (IDLE._replace(ended_since=NOW), 2, None),
    ],
)
def test_each_state_has_its_deadline(times: Times, seconds: float, status: int | None) -> None:
    assert after(times, seconds - 0.01) is None
    verdict = after(times, seconds)
    if status is None:
        assert isinstance(verdict, Close)
    else:
        assert isinstance(verdict, Refusal)
        assert verdict.status == status


def test_a_peer_that_waits_for_its_answer_is_not_idle() -> None:
    assert after(IDLE._replace(asked_since=NOW + 80, stage_since=NOW), 80) is None


def test_a_peer_that_does_not_take_its_answers_gets_no_further_ones() -> None:
    times = IDLE._replace(unsent_since=NOW, asked_since=NOW)
    assert isinstance(after(times, 26), Close)


def test_the_grain_follows_the_shortest_deadline_within_reason() -> None:
    assert Deadlines.of(Limits()).grain == 0.5
    assert Deadlines.of(Limits({"http_header_seconds": 0.4})).grain == pytest.approx(0.1)
    assert LIMITS._replace(linger=0.001).grain == 0.02
