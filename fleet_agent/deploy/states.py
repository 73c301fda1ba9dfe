"""The states of a deploy and the moves between them, as one table. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fleet_agent.errors import IllegalMove
from fleet_agent.wire import DeployState

MOVES: Final[Mapping[DeployState, frozenset[DeployState]]] = {
    DeployState.QUEUED: frozenset(
        {DeployState.RUNNING, DeployState.SUPERSEDED, DeployState.FAILED}
    ),
    DeployState.RUNNING: frozenset(
        {DeployState.VERIFIED, DeployState.ROLLED_BACK, DeployState.FAILED}
    ),
    DeployState.VERIFIED: frozenset(),
    DeployState.ROLLED_BACK: frozenset(),
    DeployState.FAILED: frozenset(),
    DeployState.SUPERSEDED: frozenset(),
}

ENDED: Final = frozenset(state for state, further in MOVES.items() if not further)


def check(deploy: int, now: DeployState, wanted: DeployState) -> DeployState:
    """``wanted`` if deploy ``deploy`` may go there from ``now``. Raises IllegalMove."""
    if wanted not in MOVES[now]:
        raise IllegalMove(f"deploy {deploy}", now.value, wanted.value)
    return wanted
