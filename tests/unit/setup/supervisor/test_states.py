"""The table of a service's states."""

from __future__ import annotations

import pytest

from fleet_agent.errors import IllegalMove
from fleet_agent.setup.supervisor import states


def test_every_state_has_its_active_state_and_its_moves() -> None:
    assert set(states.MOVES) == set(states.ACTIVE_OF)
    assert {wanted for moves in states.MOVES.values() for wanted in moves} == set(states.ACTIVE_OF)


def test_a_dead_service_runs_only_by_starting() -> None:
    assert states.move("a", states.DEAD, states.START) == states.START
    with pytest.raises(IllegalMove, match="'dead' to 'running'"):
        states.move("a", states.DEAD, states.RUNNING)


@pytest.mark.parametrize(
    ("code", "clean", "wanted"),
    [
        (0, (), states.SUCCESS), (1, (), states.EXIT_CODE), (75, (75,), states.SUCCESS),
        (-15, (), states.SUCCESS), (-9, (), states.SIGNAL), (-6, (), states.SIGNAL),
    ],
)  # fmt: skip
def test_how_a_process_ended_decides_the_result(
    code: int, clean: tuple[int, ...], wanted: str
) -> None:
    assert states.result_of(code, frozenset(clean)) == wanted


@pytest.mark.parametrize(
    ("policy", "again"),
    [
        ("no", ()), ("always", ("success", "exit-code", "signal", "timeout")),
        ("on-failure", ("exit-code", "signal", "timeout")), ("on-success", ("success",)),
        ("on-abnormal", ("signal", "timeout")),
    ],
)  # fmt: skip
def test_the_policy_decides_who_starts_again(policy: str, again: tuple[str, ...]) -> None:
    results = ("success", "exit-code", "signal", "timeout", "start-limit-hit")
    assert tuple(one for one in results if states.restarts(policy, one)) == again
