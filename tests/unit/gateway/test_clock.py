"""The wall clock against time that passes."""

from __future__ import annotations

from fleet_agent.gateway.clock import Clock
from fleet_agent.wire import Health

NOW = 1_770_091_506.0


class Times:
    def __init__(self, wall: float = NOW) -> None:
        self.wall = wall
        self.passed = 1000.0
        self.clock = Clock(lambda: self.wall, lambda: self.passed)

    def wait(self, seconds: float, jump: float = 0.0) -> None:
        self.wall += seconds + jump
        self.passed += seconds


def test_time_that_passes_is_well() -> None:
    times = Times()
    times.wait(86400)
    assert times.clock.look() == (Health.PASS, "")


def test_a_jump_warns_for_ten_minutes_and_says_how_far() -> None:
    times = Times()
    times.wait(60, jump=-3600)
    assert times.clock.look() == (Health.WARN, "the clock jumped by -3600 s")
    times.wait(599)
    assert times.clock.look()[0] is Health.WARN
    times.wait(2)
    assert times.clock.look() == (Health.PASS, "")


def test_slow_corrections_are_no_jump() -> None:
    times = Times()
    for _ in range(100):
        times.wait(60, jump=0.5)
        assert times.clock.look() == (Health.PASS, "")


def test_a_year_that_cannot_be_fails() -> None:
    assert Times(wall=0).clock.look()[0] is Health.FAIL
    assert Times(wall=5e9).clock.look()[0] is Health.FAIL
