"""Phase verify: what runs is what the release says, at once and after a settling time."""

from __future__ import annotations

from fleet_agent.node import arm, back, judge
from fleet_agent.node.act import Act, Outcome
from fleet_agent.node.pipeline import Trial


def run(act: Act) -> Outcome:
    """Raises UnitError or NodeError for the first thing that is not as the release wants it."""
    if act.spec.back:
        return back.verify(act)
    if act.spec.check:
        return Outcome(evidence={"verify": "nothing was changed, so nothing is to be seen"})
    arm.hear(act)
    wanted = act.spec.wanted
    changed = act.journal is not None
    trial = Trial(act.layout, wanted) if changed else None
    evidence = judge.converged(act, judge.expected(wanted), settle=changed)
    if trial is not None:
        evidence["pipeline"] = trial.result()
    arm.hear(act)
    return Outcome(evidence=evidence)
