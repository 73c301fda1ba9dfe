"""Phase keys: places nothing yet. Keys of wizards come with the bus."""

from __future__ import annotations

from fleet_agent.node import arm, steps
from fleet_agent.node.act import Act, Outcome


def run(act: Act) -> Outcome:
    """Says only that this run has come so far."""
    if not act.spec.check and not act.spec.back:
        arm.hear(act)
        act.step(steps.KEYS_LOOKED)
    return Outcome(evidence={"keys": "no wizard declares any"})
