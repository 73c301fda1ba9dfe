"""Units on the way back: as the baseline says they were, restarted only where this run did so.

A unit whose process is still the baseline's runs with what it was started with then; but a daemon
whose soul was put back has to look anew.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from fleet_agent.errors import FleetError
from fleet_agent.node import present
from fleet_agent.node.act import Act
from fleet_agent.node.desired import PIPELINE, RECOVER, is_ours, is_runner
from fleet_agent.node.place import PlaceError, Places
from fleet_agent.node.present import Record
from fleet_agent.node.saved import Baseline, SavedUnit
from fleet_agent.node.units import Ref, State


class Work:
    """One way back's acts on units, in the order stop, enable, start."""

    def __init__(self, act: Act, baseline: Baseline, *, booting: bool) -> None:
        self._act = act
        self._baseline = baseline
        self._booting = booting
        # A user's manager is not up yet while the machine boots; it starts after us.
        self._units = [
            unit
            for unit in baseline.units
            if unit.ref.unit != RECOVER and not (booting and unit.ref.user)
        ]
        self._before = act.units.show(unit.ref for unit in self._units) if self._units else {}
        self.stopped: tuple[Ref, ...] = ()

    def stop(self) -> None:
        """Stop what did not run before, and disable what was not enabled."""
        units = self._act.units
        surplus = [
            unit.ref
            for unit in self._units
            if (not unit.active or self._is_of_this_run(unit))
            and (self._before[unit.ref].active != "inactive" or self._booting)
            and self._before[unit.ref].known
        ]
        if surplus:
            units.stop(surplus, wait=not self._booting)
        self.stopped = tuple(surplus)
        disable = [
            unit.ref
            for unit in self._units
            if self._before[unit.ref].enabled and not unit.enabled and is_ours(unit.ref)
        ]
        if disable:
            units.disable(disable)
        if surplus and not self._booting:
            units.forget_failures(surplus)

    def enable(self) -> None:
        """Let systemd read the restored unit files, and enable what was enabled."""
        units = self._act.units
        again = [
            unit.ref
            for unit in self._units
            if unit.enabled and not self._before[unit.ref].enabled and is_ours(unit.ref)
        ]
        if again:
            units.enable(again)
        if self._units:
            units.daemon_reload()

    def start(self) -> tuple[Ref, ...]:
        """Start what ran before and has another process now; the units that were started.

        Goes on after a failure, and raises the first one at the end.
        """
        wanted = [unit for unit in self._units if unit.active and not is_runner(unit.ref)]
        now = self._act.units.show(unit.ref for unit in wanted) if wanted else {}
        if self._booting:
            asleep = [unit.ref for unit in wanted if not now[unit.ref].is_active]
            if asleep:
                self._act.units.start_without_waiting(asleep)
            return tuple(asleep)
        again = [
            unit.ref
            for unit in wanted
            if _is_another(unit, now[unit.ref]) or self._has_lost_its_soul(unit.ref, now[unit.ref])
        ]
        go_on = [unit.ref for unit in wanted if unit.ref not in again and _is_a_daemon(unit.ref)]
        problem = self._start_all(again, go_on)
        self._write_records(again)
        if problem is not None:
            raise problem
        return tuple(again)

    def _is_of_this_run(self, unit: SavedUnit) -> bool:
        """Whether it is a runner that was started after the baseline: its socket will start one
        of the baseline's."""
        return is_runner(unit.ref) and _is_another(unit, self._before[unit.ref])

    def _has_lost_its_soul(self, ref: Ref, now: State) -> bool:
        """Whether a daemon's soul was put back after its start: it would look past it."""
        manifest = self._baseline.manifest
        booted = time.time() - time.monotonic()
        return any(
            self._changed(wizard.soul.place) > booted + now.started
            for wizard in (() if manifest is None else manifest.wizards)
            if wizard.daemon == ref.unit and wizard.soul is not None and wizard.soul.place
        )

    def _changed(self, place: str) -> float:
        """When somebody last wrote at ``place``; now where its own user has spoilt the way."""
        layout = self._act.layout
        try:
            return Places(layout.root, unprivileged=layout.unprivileged).look(place).changed
        except PlaceError:
            return time.time()

    def _start_all(self, again: list[Ref], go_on: list[Ref]) -> FleetError | None:
        units = self._act.units
        problem: FleetError | None = None
        if again:
            units.forget_failures(again)
        # A socket can't be bound under a running service, and one that goes on would wake it.
        moved = {_wizard(ref) for ref in again if _is_a_wizards_socket(ref)}
        of_moved = [unit.ref for unit in self._units if unit.active and _wizard(unit.ref) in moved]
        freed = [ref for ref in of_moved if _is_a_wizards_socket(ref) or _is_a_daemon(ref)]
        if freed:
            units.stop(freed)
        everything = list(dict.fromkeys([*again, *freed]))
        sockets = [ref for ref in everything if ref.unit.endswith(".socket")]
        others = [ref for ref in everything if ref not in sockets]
        go_on = [ref for ref in go_on if ref not in freed]
        for refs, act in ((sockets, units.start), (others, units.restart), (go_on, units.reload)):
            if refs:
                try:
                    act(refs)
                except FleetError as error:
                    self._act.log.say(f"on the way back: {error}")
                    problem = problem or error
        return problem

    def _write_records(self, again: Iterable[Ref]) -> None:
        kept = dict(self._baseline.records)
        was = {unit.ref: unit.invocation for unit in self._units}
        restarted = [ref for ref in again if ref.key in kept]
        for ref, state in (self._act.units.show(restarted) if restarted else {}).items():
            if kept[ref.key].invocation == was[ref]:
                kept[ref.key] = Record(state.invocation, kept[ref.key].digest)
        if kept != present.records(self._act.layout):
            present.write_records(self._act.layout, kept)


def _is_a_wizards_socket(ref: Ref) -> bool:
    return ref.unit.endswith(".socket") and ref.unit.startswith(("fleet-agent@", "fleet-hook@"))


def _is_a_daemon(ref: Ref) -> bool:
    return ref.unit.endswith(".service") and ref.unit.startswith("fleet-agent@")


def _wizard(ref: Ref) -> str:
    """The instance that a unit of ours is of."""
    return ref.unit.partition("@")[2].rpartition(".")[0]


def _is_another(unit: SavedUnit, now: State) -> bool:
    """Whether the unit has another process than the baseline's, or none."""
    if unit.ref.unit in PIPELINE:
        # It may be the very process that drives this way back.
        return not now.is_active
    return not now.is_active or now.invocation != unit.invocation
