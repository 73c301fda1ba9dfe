"""The way back: the baseline as the desired state, phase by phase, then verified.

Driven by the orchestrator (mode ``back``), or by the node itself when nobody confirmed.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from typing import Final

from fleet_agent.errors import FleetError, NodeError
from fleet_agent.node import backunits, durable, guard, judge, present, restore, saved, steps, timer
from fleet_agent.node.act import Act, Outcome
from fleet_agent.node.desired import RUNTIME, Wish, is_runner, wishes
from fleet_agent.node.journal import (
    ARMED,
    CLAIMED,
    CONFIRMED,
    EXPIRING,
    OPEN,
    REVERTED,
    Journal,
)
from fleet_agent.node.layout import UNITS
from fleet_agent.node.place import Places
from fleet_agent.node.saved import Baseline
from fleet_agent.node.spec import BACK

_LOOK_BACK_SECONDS: Final = 60.0
_KEPT: Final = (
    "kept: accounts, /var/lib/fleet-agent and /opt/fleet-agent/node (what wizards may have "
    "written, and the code that does this)"
)
_NOTHING: Final = "nothing was changed here by this run, so nothing is to be put back"


def claim(act: Act) -> Outcome:
    """Take the journal, so that only the orchestrator drives the way back from here on."""
    journal = act.journal
    if journal is None:
        return Outcome(notes=(_NOTHING,))
    if journal.state == REVERTED:
        return Outcome(notes=(f"the node has put itself back already: {journal.note}",))
    if journal.state != CLAIMED:
        act.book.move((OPEN, ARMED, CONFIRMED, EXPIRING), CLAIMED)
    # A timer that waits goes on waiting: if we are never heard of again, the node goes on alone.
    _hear(act)
    act.step(steps.CLAIMED)
    return Outcome(evidence={"claimed_from": journal.state, "at_step": journal.step})


def look(act: Act) -> Outcome:
    """What the node returns to, as evidence."""
    if act.journal is None:
        return Outcome()
    baseline = saved.load(act.layout, act.spec.nonce)
    return Outcome(evidence={"release": baseline.release, "places": len(baseline.places)})


def _at_work(act: Act) -> Journal | None:
    """The journal if this way back still has something to do, its deadline moved on."""
    journal = act.journal
    if journal is None or journal.state not in (CLAIMED, EXPIRING):
        return None
    _hear(act)
    return journal


def _hear(act: Act) -> None:
    seconds = act.spec.limits["deploy_confirm_seconds"]
    act.book.move_deadline(timer.uptime() + seconds, time.time() + seconds)


def restore_release(act: Act) -> Outcome:
    """``current`` and every file but units as the baseline says. Raises NodeError."""
    if _at_work(act) is None:
        return Outcome()
    layout = act.layout
    baseline = saved.load(layout, act.spec.nonce)
    now, _ = present.current(layout)
    if now != baseline.release:
        if baseline.release is None:
            durable.unlink(layout.current)
        else:
            durable.link(layout.current, f"releases/{baseline.release}")
        act.log.say(f"current leads back to {baseline.release or 'nothing'}")
    act.step(steps.CURRENT_RESTORED)
    others = [item for item in baseline.places if not _is_unit(item.place)]
    restored = restore.places(layout, act.spec.nonce, baseline, others)
    _say(act, restored.problems)
    act.step(steps.PLACES_RESTORED)
    return Outcome(
        changed=now != baseline.release or bool(restored.places),
        evidence={"release": baseline.release, "restored": list(restored.places)},
        notes=restored.problems,
    )


def _say(act: Act, problems: Iterable[str]) -> None:
    """Log what could not be put back. It is no end: units must come back all the same."""
    for problem in problems:
        act.log.say(problem)


def restore_units(act: Act, *, booting: bool = False) -> Outcome:
    """Unit files, enablement and processes as the baseline says. Raises UnitError at the end.

    ``booting``: nothing is waited for, because units wait for us.
    """
    if _at_work(act) is None:
        return Outcome()
    layout = act.layout
    baseline = saved.load(layout, act.spec.nonce)
    work = backunits.Work(act, baseline, booting=booting)
    work.stop()
    act.step(steps.UNITS_STOPPED)
    files = [
        item for item in baseline.places if _is_unit(item.place) and not guard.belongs_to(item)
    ]
    restored = restore.places(layout, act.spec.nonce, baseline, files)
    _say(act, restored.problems)
    restore.remove_directories(layout, baseline.directories)
    work.enable()
    act.step(steps.UNITS_RESTORED)
    restarted = work.start()
    act.step(steps.UNITS_RESTARTED)
    return Outcome(
        changed=bool(restored.places) or bool(restarted) or bool(work.stopped),
        evidence={
            "restored": list(restored.places),
            "stopped": [ref.key for ref in work.stopped],
            "restarted": [ref.key for ref in restarted],
        },
        notes=restored.problems,
    )


def _is_unit(place: str) -> bool:
    return place.startswith(UNITS + "/")


def verify(act: Act) -> Outcome:
    """Look whether all is as it was; then the journal is ``reverted``. Raises NodeError."""
    journal = act.journal
    if journal is None:
        return Outcome(notes=(_NOTHING,))
    _at_work(act)
    layout = act.layout
    baseline = saved.load(layout, journal.nonce)
    _places_as_they_were(act, baseline)
    evidence = {"release": baseline.release, **_units_as_they_were(act, baseline)}
    if journal.state == REVERTED:
        return Outcome(evidence=evidence, notes=(f"had put itself back: {journal.note}",))
    how = "by itself" if journal.state == EXPIRING else "by the orchestrator"
    evidence["removed_releases"] = _close(act, journal, f"{how}, verified")
    timer.stop(layout, journal.nonce, myself=journal.state == EXPIRING)
    return Outcome(evidence=evidence, notes=() if baseline.release else (_KEPT,))


def _places_as_they_were(act: Act, baseline: Baseline) -> None:
    layout = act.layout
    now, _ = present.current(layout)
    if now != baseline.release:
        raise NodeError(
            f"leads to {now or 'nothing'}, before to {baseline.release or 'nothing'}",
            where=layout.current,
        )
    where = Places(layout.root, unprivileged=layout.unprivileged)
    for item in baseline.places:
        if guard.belongs_to(item):
            continue
        if not restore.same(where.look(item.place), item.found, any_owner=layout.unprivileged):
            raise NodeError("is not as it was before the deploy", where=item.place)


def _units_as_they_were(act: Act, baseline: Baseline) -> dict[str, object]:
    """What ran runs, and stays running; what did not run does not."""
    # A runner comes and goes with what it is asked to do.
    units = [unit for unit in baseline.units if not is_runner(unit.ref)]
    if not units:
        return {}
    states = act.units.show(unit.ref for unit in units)
    for unit in units:
        if not unit.active and states[unit.ref].active != "inactive":
            raise act.units.failure(unit.ref, states[unit.ref], time.time() - _LOOK_BACK_SECONDS)
    wished = () if baseline.manifest is None else wishes(baseline.manifest)
    daemons = {wish.ref: wish for wish in wished if wish.wizard in baseline.health}
    running = [unit for unit in units if unit.active]
    want = judge.Expected(
        baseline.manifest,
        tuple(daemons.get(unit.ref, Wish(unit.ref, RUNTIME)) for unit in running),
        before=baseline.health,
    )
    # What was not started anew has settled long ago.
    anew = any(states[unit.ref].invocation != unit.invocation for unit in running)
    return judge.converged(act, want, settle=anew)


def _remove_made(act: Act, baseline: Baseline, journal: Journal) -> list[str]:
    """Remove the release that this run made, and what is left of making it."""
    layout = act.layout
    building = f"{layout.releases}/.{journal.nonce}"
    if os.path.isdir(building):
        shutil.rmtree(building)
    removed: list[str] = []
    if journal.target not in baseline.releases and os.path.isdir(layout.release(journal.target)):
        shutil.rmtree(layout.release(journal.target))
        removed.append(journal.target)
    if baseline.release is None and not saved.releases(layout):
        shutil.rmtree(layout.releases, ignore_errors=True)
    return removed


def own(act: Act, journal: Journal) -> None:
    """The node's own way back of the run ``journal``, whole and verified. Raises FleetError."""
    mine = _taken_over(act, journal)
    restore_release(mine)
    restore_units(mine)
    verify(mine)


def own_as_far_as_it_goes(act: Act, journal: Journal) -> str:
    """The same for a newer run that waits for it: what is unwell then is told, not raised.

    Also a file that somebody else has changed meanwhile: no deploy could mend the node otherwise.
    """
    mine = _taken_over(act, journal)
    problem = _problem(lambda: restore_release(mine))
    problem = _problem(lambda: restore_units(mine)) or problem
    problem = problem or _problem(lambda: verify(mine))
    if problem:
        _close(mine, journal, "not well after it")
    return problem


def _problem(work: Callable[[], Outcome]) -> str:
    """What went wrong with ``work``, empty if nothing did."""
    try:
        work()
    except (FleetError, OSError) as error:
        return str(error)
    return ""


def own_at_boot(act: Act, journal: Journal) -> None:
    """The same while this machine boots: systemd starts what is to run after us."""
    mine = _taken_over(act, journal)
    restore_release(mine)
    restore_units(mine, booting=True)
    _places_as_they_were(mine, saved.load(act.layout, journal.nonce))
    _close(mine, journal, "at boot, not verified")


def _taken_over(act: Act, journal: Journal) -> Act:
    spec = act.spec._replace(deploy=journal.deploy, nonce=journal.nonce, mode=BACK)
    if journal.state != EXPIRING:
        act.book.move((OPEN, ARMED, CLAIMED), EXPIRING, note=f"was {journal.state}")
    timer.stop(act.layout, journal.nonce, myself=True)
    return act._replace(spec=spec)


def _close(act: Act, journal: Journal, how: str) -> list[str]:
    """The end of a way back: what the run made is removed, the journal is ``reverted``."""
    baseline = saved.load(act.layout, journal.nonce)
    removed = _remove_made(act, baseline, journal)
    act.step(steps.BACK_VERIFIED)
    act.book.move((CLAIMED, EXPIRING), REVERTED, ended_at=time.time(), note=how)
    guard.dismiss(act, baseline)
    return removed
