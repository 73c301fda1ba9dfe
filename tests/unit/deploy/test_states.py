"""The table of moves: what is allowed, and an error that names both states for the rest."""

from __future__ import annotations

import itertools

import pytest

from fleet_agent.deploy import states
from fleet_agent.errors import IllegalMove
from fleet_agent.wire import DeployState as S

ALLOWED = {
    (S.QUEUED, S.RUNNING), (S.QUEUED, S.SUPERSEDED), (S.QUEUED, S.FAILED),
    (S.RUNNING, S.VERIFIED), (S.RUNNING, S.ROLLED_BACK), (S.RUNNING, S.FAILED),
}  # fmt: skip


@pytest.mark.parametrize(("now", "wanted"), list(itertools.product(S, S)))
def test_a_move_is_in_the_table_or_an_error(now: S, wanted: S) -> None:
    if (now, wanted) in ALLOWED:
        assert states.check(7, now, wanted) is wanted
        return
    with pytest.raises(IllegalMove, match=f"deploy 7 .*{now.value}.*{wanted.value}"):
        states.check(7, now, wanted)


def test_ended_states_are_those_without_a_way_on() -> None:
    assert {S.VERIFIED, S.ROLLED_BACK, S.FAILED, S.SUPERSEDED} == states.ENDED
