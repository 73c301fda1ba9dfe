"""The baseline: what a node returns to, written down as it was found."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet_agent.node import saved
from fleet_agent.node.layout import Layout
from fleet_agent.node.present import Present
from fleet_agent.node.units import Ref, State

NONCE = "0123456789abcdef"
RUNS = State(load="loaded", active="active")
RESTARTS = State(load="loaded", active="activating", sub="auto-restart")


def a_present(states: dict[Ref, State]) -> Present:
    """A node on which nothing was deployed, with these units."""
    nothing = dict.fromkeys(Present._fields)
    given = {"found": {}, "states": states, "records": {}, "health": {}}
    return Present(**{**nothing, **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("unit", "state", "ran"),
    [
        ("fleet-agent@ezra.service", RUNS, True),
        ("fleet-agent@ezra.service", RESTARTS, False),
        ("fleet-deploy.service", RESTARTS, True),
        ("fleet-deploy.service", State(), False),
    ],
)
def test_a_pipeline_that_is_there_counts_as_running_though_it_only_just_restarts(
    tmp_path: Path, unit: str, state: State, ran: bool
) -> None:
    (tmp_path / "var/lib/fleet-agent/node").mkdir(parents=True)
    layout = Layout(root=str(tmp_path), unprivileged=True)
    saved.save(layout, NONCE, a_present({Ref(unit): state}), (), 1024)
    (found,) = saved.load(layout, NONCE).units
    assert found.active is ran
