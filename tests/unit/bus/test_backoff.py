"""Waits double, are spread, bounded, and mind what the other side asks for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.bus.backoff import Schedule, wait
from fleet_agent.limits import Limits

SCHEDULE = Schedule(1.0, 60.0)


def test_it_doubles_up_to_the_longest() -> None:
    assert [wait(SCHEDULE, n, 1.0) for n in (1, 2, 3, 6, 7, 8)] == [1, 2, 4, 32, 60, 60]


def test_half_is_fixed_and_half_is_by_the_dice() -> None:
    assert (wait(SCHEDULE, 3, 0.0), wait(SCHEDULE, 3, 0.5), wait(SCHEDULE, 3, 1.0)) == (2, 3, 4)


def test_retry_after_is_the_least_and_spread_too() -> None:
    assert wait(SCHEDULE, 1, 0.0, least=20.0) == 20
    assert wait(SCHEDULE, 1, 1.0, least=20.0) == 25
    assert wait(SCHEDULE, 7, 1.0, least=20.0) == 60


@given(st.integers(-5, 10**9), st.floats(0, 1))
def test_any_number_of_failures_waits_within_the_bounds(failures: int, dice: float) -> None:
    assert 0.5 <= wait(SCHEDULE, failures, dice) <= 60


def test_the_limits_make_the_schedule() -> None:
    limits = Limits({"outbox_retry_first_seconds": 0.5, "outbox_retry_most_seconds": 9})
    assert Schedule.of(limits) == Schedule(0.5, 9)
