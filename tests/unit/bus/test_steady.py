"""A jump is told once, a slew is followed."""

from __future__ import annotations

from fleet_agent.bus.steady import Steady


class Clocks:
    wall = 1_000_000.0
    passed = 50.0

    def steady(self) -> Steady:
        return Steady(lambda: self.wall, lambda: self.passed)

    def go(self, seconds: float, jump: float = 0.0) -> None:
        self.passed += seconds
        self.wall += seconds + jump


def test_time_passes() -> None:
    clocks = Clocks()
    steady = clocks.steady()
    clocks.go(10)
    assert (steady.now(), steady.jump()) == (1_000_010.0, 0.0)


def test_a_jump_is_not_seen_until_it_is_asked_for_and_told_once() -> None:
    clocks = Clocks()
    steady = clocks.steady()
    clocks.go(1, jump=-3600)
    assert steady.now() == 1_000_001.0
    assert steady.jump() == -3600
    assert (steady.now(), steady.jump()) == (996_401.0, 0.0)


def test_a_slew_is_followed_and_no_jump() -> None:
    clocks = Clocks()
    steady = clocks.steady()
    for _ in range(10):
        clocks.go(1, jump=0.5)
        assert steady.jump() == 0.0
    assert steady.now() == clocks.wall
