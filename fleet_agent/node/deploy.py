"""Phase deploy: the release laid down, the way back armed, ``current`` switched, files placed."""

from __future__ import annotations

from fleet_agent.errors import NodeError
from fleet_agent.node import (
    accounts,
    arm,
    back,
    decide,
    durable,
    guard,
    present,
    putting,
    steps,
    unpack,
)
from fleet_agent.node.act import Act, Outcome
from fleet_agent.node.desired import FILE, SOUL
from fleet_agent.node.present import Present
from fleet_agent.release.diff import code_summary


def run(act: Act) -> Outcome:
    """Raises NodeError, PlaceError or ProcessError; what was switched by then is in the journal."""
    if act.spec.back:
        return back.restore_release(act)
    wanted, layout = act.spec.wanted, act.layout
    seen = present.look(layout, wanted, act.units)
    act.contents.add_release(layout, seen.release, seen.manifest)
    every = decide.places(wanted, seen.manifest, seen, any_owner=layout.unprivileged)
    to_place = every.of_others()
    changed = seen.release != wanted.id or any(to_place)
    if act.spec.check:
        return Outcome(changed, _differences(act, seen, to_place), _evidence(act))
    if act.journal is None:
        if changed:
            raise NodeError(
                "the node changed since its baseline was taken",
                where=layout.current,
                mend="run the deploy again",
            )
        return Outcome(evidence=_evidence(act))
    diff = _differences(act, seen, to_place)
    guard.post(act, every, seen)
    act.step(steps.GUARD_POSTED)
    unpack.unpack(layout, wanted, act.contents, act.spec.nonce, seen.release)
    act.step(steps.RELEASE_UNPACKED)
    arm.arm(act)
    act.step(steps.ARMED)
    made = () if layout.unprivileged else accounts.make(wanted)
    act.step(steps.ACCOUNTS_MADE)
    if seen.release != wanted.id:
        durable.link(layout.current, f"releases/{wanted.id}")
        act.log.say(f"current leads to release {wanted.id} (before: {seen.release or 'none'})")
    act.step(steps.CURRENT_SWITCHED)
    putting.put(act, to_place)
    act.step(steps.PLACES_PLACED)
    notes = (f"made: {', '.join(made)}",) if made else ()
    return Outcome(changed, diff, _evidence(act), notes)


def _evidence(act: Act) -> dict[str, object]:
    return {"release": act.spec.wanted.id, "files": len(act.spec.wanted.files)}


def _differences(act: Act, seen: Present, to_place: decide.ToPlace) -> tuple[tuple[str, str], ...]:
    # In a forward run the phase soul has shown the souls already, and a check shows them there.
    diff = list(putting.differences(act, to_place, kinds=(FILE,)))
    souls = [item.place for item in to_place.write if item.kind == SOUL]
    code = code_summary(seen.manifest, act.spec.wanted)
    if code:
        diff.append(("code", code))
    diff += [(place, "the soul is placed (see phase soul)\n") for place in souls]
    return tuple(diff)
