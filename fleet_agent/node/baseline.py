"""Phase baseline: writes down what is there, so that it can be there again; opens the journal.

When nothing will change, nothing is written either: a run that changes nothing has no way back.
"""

from __future__ import annotations

import time
from typing import Any, Final

from fleet_agent.node import back, decide, present, saved, snapshot, steps, timer
from fleet_agent.node.act import Act, Outcome
from fleet_agent.node.desired import DAEMON, RUNTIME, wishes
from fleet_agent.node.journal import OPEN, Journal
from fleet_agent.node.place import ABSENT
from fleet_agent.node.present import Present
from fleet_agent.release.manifest import Manifest

_LIMITS_OF_THE_WAY_BACK: Final = (
    "deploy_confirm_seconds", "deploy_ready_seconds", "deploy_settle_seconds",
)  # fmt: skip


def run(act: Act) -> Outcome:
    """Raises NodeError when what is there could not be put back."""
    if act.spec.back:
        return back.look(act)
    wanted = act.spec.wanted
    notes = () if act.spec.check else _finish_earlier(act)
    seen = present.look(act.layout, wanted, act.units)
    any_owner = act.layout.unprivileged
    to_place = decide.places(wanted, seen.manifest, seen, any_owner=any_owner)
    to_run = decide.units(wanted, seen.manifest, seen, to_place)
    changes = seen.release != wanted.id or any(to_place) or not to_run.nothing
    evidence = _evidence(seen, wanted, changes)
    if act.spec.check or not changes or act.journal is not None:
        return Outcome(evidence=evidence, notes=notes)
    limits = act.spec.limits
    changing = {item.place for item in to_place.write} | set(to_place.remove)
    baseline = saved.save(
        act.layout, act.spec.nonce, seen, changing, limits.whole("deploy_file_bytes")
    )
    act.step(steps.BASELINE_SAVED)
    act.book.open(_journal(act, baseline, wanted))
    kept = snapshot.take(act.layout, act.spec.nonce, _changed_state(wanted, seen), limits)
    act.step(steps.STATE_SNAPSHOTTED)
    return Outcome(evidence={**evidence, "snapshots": list(kept.made)}, notes=(*notes, *kept.notes))


def _finish_earlier(act: Act) -> tuple[str, ...]:
    """Put the node back where an earlier run left it unfinished: a baseline is a known state.

    Whether all is well again is not asked: this run may be the very one that mends it.
    """
    before = act.book.journal
    if before is None or before.nonce == act.spec.nonce or not before.unfinished:
        return ()
    problem = back.own_as_far_as_it_goes(act, before)
    unwell = f", though not well: {problem}" if problem else ""
    return (f"deploy {before.deploy} was {before.state} here and was put back first{unwell}",)


def _journal(act: Act, baseline: saved.Baseline, wanted: Manifest) -> Journal:
    return Journal(
        state=OPEN,
        deploy=act.spec.deploy,
        nonce=act.spec.nonce,
        commit=act.spec.commit,
        holder=act.spec.holder,
        layout=act.layout.to_json(),
        boot=timer.boot_id(),
        opened_at=time.time(),
        baseline=baseline.release,
        target=wanted.id,
        limits={name: act.spec.limits[name] for name in _LIMITS_OF_THE_WAY_BACK},
    )


def _changed_state(wanted: Manifest, seen: Present) -> dict[str, tuple[str, ...]]:
    """The state directories of the wizards whose inputs change."""
    before = {} if seen.manifest is None else {one.name: one for one in seen.manifest.wizards}
    changed: dict[str, tuple[str, ...]] = {}
    for wizard in wanted.wizards:
        old = before.get(wizard.name)
        if old is None or (old.input, old.runtime_input) != (wizard.input, wizard.runtime_input):
            changed[wizard.name] = wizard.state
    return changed


def _evidence(seen: Present, wanted: Manifest, changes: bool) -> dict[str, Any]:
    return {
        "release": seen.release,
        "wanted": wanted.id,
        "changes": changes,
        "places": {
            place: "absent" if found.kind == ABSENT else f"{found.kind} {found.sha256[:16]}"
            for place, found in seen.found.items()
        },
        "units": {
            wish.ref.key: seen.states[wish.ref].active
            for wish in wishes(wanted)
            if wish.kind in (DAEMON, RUNTIME)
        },
    }
