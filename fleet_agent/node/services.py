"""Phase services: unit files placed, sockets bound, and only what must be is started anew."""

from __future__ import annotations

from collections.abc import Iterable

from fleet_agent.node import (
    arm,
    back,
    decide,
    keyruntimes,
    present,
    putting,
    saved,
    started,
    steps,
)
from fleet_agent.node.act import Act, Outcome
from fleet_agent.node.decide import ToPlace, ToRun
from fleet_agent.node.desired import RUNNER, UNIT, Wish
from fleet_agent.node.units import Ref
from fleet_agent.release.manifest import Manifest


def run(act: Act) -> Outcome:
    """Raises UnitError for a unit that does not come up, with its own last words."""
    if act.spec.back:
        return back.restore_units(act)
    wanted, layout = act.spec.wanted, act.layout
    if not act.spec.check:
        arm.hear(act)
    before = _before(act)
    seen = present.look(layout, wanted, act.units, also=before)
    act.contents.add_release(layout, wanted.id if seen.release == wanted.id else None, wanted)
    act.contents.add_release(layout, seen.release, seen.manifest)
    old = before if before is not None else seen.manifest
    to_place = decide.places(wanted, old, seen, any_owner=layout.unprivileged)
    journal = act.journal
    replaced = journal is not None and journal.baseline != journal.target
    to_run = decide.units(wanted, old, seen, to_place, replaced=replaced)
    waiting = keyruntimes.waiting(act, wanted, old)
    later = [wish for wish in to_run.runtimes if wish.wizard in waiting]
    to_run = to_run._replace(runtimes=tuple(one for one in to_run.runtimes if one not in later))
    diff = putting.differences(act, to_place.of_units(), kinds=(UNIT,))
    changed = any(to_place.of_units()) or not to_run.nothing
    if act.spec.check:
        return Outcome(changed, diff, {"would": describe(to_run)})
    _converge(act, wanted, to_place.of_units(), to_run)
    if changed:
        started.remember(act, wanted, seen, later)
    return Outcome(changed, diff, {"did": describe(to_run)})


def _before(act: Act) -> Manifest | None:
    """The release that this run found, when it has changed something here."""
    if act.spec.check or act.journal is None:
        return None
    return saved.load(act.layout, act.spec.nonce).manifest


def _converge(act: Act, wanted: Manifest, files: ToPlace, to_run: ToRun) -> None:
    units = act.units
    if to_run.stop:
        units.stop(to_run.stop)
        units.disable(to_run.disable)
    act.step(steps.OLD_UNITS_STOPPED)
    putting.put(act, files)
    act.step(steps.UNITS_PLACED)
    if to_run.enable:
        units.enable(to_run.enable)
    if to_run.reread or to_run.enable or to_run.stop:
        units.daemon_reload()
    act.step(steps.UNITS_RELOADED)
    starting = [*to_run.rebind, *to_run.listen, *to_run.daemons, *to_run.runtimes]
    if starting:
        units.forget_failures(_refs(starting))
    if to_run.vacate or to_run.rebind:
        units.stop(_refs([*to_run.vacate, *to_run.rebind]))
    sockets = _refs([*to_run.rebind, *to_run.listen])
    if sockets:
        units.start(sockets)
    act.step(steps.SOCKETS_STARTED)
    if to_run.daemons:
        units.restart(_refs(to_run.daemons))
    if to_run.reload:
        units.reload(_refs(to_run.reload))
    if to_run.conductors:
        units.start(_refs(to_run.conductors))
    act.step(steps.DAEMONS_STARTED)
    if to_run.runtimes:
        units.restart(_refs(to_run.runtimes))
    act.step(steps.RUNTIMES_STARTED)


def _refs(wished: Iterable[Wish]) -> list[Ref]:
    return [wish.ref for wish in wished]


def describe(to_run: ToRun) -> dict[str, list[str]]:
    """What is done with units, for people; what nothing is done with is left out."""
    told = {
        "stop": [ref.key for ref in to_run.stop]
        + [wish.ref.key for wish in to_run.vacate if wish.kind == RUNNER],
        "enable": [ref.key for ref in to_run.enable],
        "listen": [wish.ref.key for wish in (*to_run.rebind, *to_run.listen)],
        "restart": [wish.ref.key for wish in (*to_run.daemons, *to_run.runtimes)],
        "start": [wish.ref.key for wish in to_run.conductors],
        "reload": [wish.ref.key for wish in to_run.reload],
    }
    return {verb: keys for verb, keys in told.items() if keys}
