"""Phase preflight: can this node take the release at all? Writes nothing.

In mode ``back`` it claims the journal, so that the node's own way back stays out of ours.
"""

from __future__ import annotations

from fleet_agent.node import back, facts, ports, present, steps
from fleet_agent.node.act import Act, Outcome


def run(act: Act) -> Outcome:
    """Raises NodeError for the first thing that is not as it must be."""
    if act.spec.back:
        return back.claim(act)
    wanted = act.spec.wanted
    facts.check_versions(act.layout, act.units)
    free = facts.check_disk(act.layout, act.spec.limits)
    offset = facts.check_clock(act.spec.now, act.spec.limits)
    seen = present.look(act.layout, wanted, act.units)
    facts.check_runtimes(wanted, seen)
    facts.check_places(wanted, seen)
    ports.check(wanted, seen)
    have = [] if seen.manifest is None else sorted({item.sha256 for item in seen.manifest.files})
    act.step(steps.PREFLIGHT_LOOKED)
    return Outcome(
        evidence={
            **facts.of_machine(),
            "have": have,
            "current": seen.release,
            "running": {name: answer.running for name, answer in seen.health.items()},
            "disk_free_mib": free,
            "clock_offset_s": offset,
        },
        notes=facts.hints(act.layout, wanted),
    )
