"""Decides what must be done so that a node is as a release wants it. Pure.

The differences decide, never what an earlier run meant to do: so a second run does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from fleet_agent.node.desired import (
    CONDUCTOR,
    DAEMON,
    RUNNER,
    RUNNER_SOCKET,
    RUNTIME,
    SOCKET,
    SOUL,
    UNIT,
    Placement,
    Wish,
    is_ours,
    placements,
    wishes,
)
from fleet_agent.node.desired import FILE as FILE_KIND
from fleet_agent.node.layout import UNITS
from fleet_agent.node.place import ABSENT, FILE
from fleet_agent.node.present import Present
from fleet_agent.node.units import Ref, State
from fleet_agent.release.manifest import Manifest

_NEVER: Final = State()
# What a runner says of itself to systemd, before the digest of what it is made of.
RUNNER_SAYS: Final = "input "
# Besides its unit files: what the process of a unit reads, or looks at, where it is placed.
_READ_BY: Final = {RUNTIME: (FILE_KIND, SOUL), DAEMON: (SOUL,)}


class ToPlace(NamedTuple):
    """Files to be written, and places that the old release had and the new one has not."""

    write: tuple[Placement, ...]
    remove: tuple[str, ...]

    def of_units(self) -> ToPlace:
        """Only the unit files."""
        return ToPlace(
            tuple(item for item in self.write if item.kind == UNIT),
            tuple(place for place in self.remove if place.startswith(UNITS + "/")),
        )

    def of_others(self) -> ToPlace:
        """All but the unit files."""
        return ToPlace(
            tuple(item for item in self.write if item.kind != UNIT),
            tuple(place for place in self.remove if not place.startswith(UNITS + "/")),
        )


class ToRun(NamedTuple):
    """What is to be done with units, in the order of these fields.

    ``vacate`` are daemons that must be out of the way before their sockets can be bound, and
    runners that are not of this release: the next message starts them anew.
    """

    stop: tuple[Ref, ...] = ()
    disable: tuple[Ref, ...] = ()
    enable: tuple[Ref, ...] = ()
    reread: bool = False
    vacate: tuple[Wish, ...] = ()
    rebind: tuple[Wish, ...] = ()
    listen: tuple[Wish, ...] = ()
    daemons: tuple[Wish, ...] = ()
    conductors: tuple[Wish, ...] = ()
    reload: tuple[Wish, ...] = ()
    runtimes: tuple[Wish, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether no unit needs anything."""
        return not any(self)


def places(
    wanted: Manifest, before: Manifest | None, present: Present, *, any_owner: bool = False
) -> ToPlace:
    """Which files are to be written and which removed. ``any_owner``: owners don't count."""
    new = placements(wanted)
    write = tuple(item for item in new if not is_placed(item, present, any_owner=any_owner))
    kept = {item.place for item in new}
    old = () if before is None else placements(before)
    remove = tuple(
        item.place
        for item in old
        if item.place not in kept and _kind(present, item.place) != ABSENT
    )
    return ToPlace(write, remove)


def is_placed(item: Placement, present: Present, *, any_owner: bool = False) -> bool:
    """Whether a file lies at its place with its content, mode and owner."""
    found = present.found.get(item.place)
    if found is None or found.kind != FILE or found.sha256 != item.sha256:
        return False
    if found.mode != item.mode:
        return False
    return any_owner or (found.uid == 0 and found.gid == present.groups.get(item.group))


def _kind(present: Present, place: str) -> str:
    found = present.found.get(place)
    return ABSENT if found is None else found.kind


def units(
    wanted: Manifest,
    before: Manifest | None,
    present: Present,
    to_place: ToPlace,
    *,
    replaced: bool = False,
) -> ToRun:
    """What the units of ``wanted`` need, ``to_place`` being what is (or was) not in its place.

    ``replaced``: this run has put the release in place of another one, so daemons that go on
    must read the registry anew.
    """
    wished = wishes(wanted)
    declared = placements(wanted) + (() if before is None else placements(before))
    made_of = {wish.ref: _inputs(wish, declared) for wish in wished}
    stop = _no_longer(wished, before, present)
    touched = {item.place for item in to_place.write} | set(to_place.remove)
    state = present.states.get
    active = {wish.ref for wish in wished if state(wish.ref, _NEVER).is_active}
    sockets = [wish for wish in wished if wish.kind == SOCKET]
    listen = tuple(wish for wish in sockets if wish.ref not in active)
    serving = tuple(wish for wish in wished if wish.kind == DAEMON and wish.ref in active)
    # A socket can't be bound under a running service, and one that goes on would wake it again.
    rebound = {
        wish.wizard
        for wish in sockets
        if wish.ref in active and not _in_force(wish, present, made_of[wish.ref], touched)
    } | ({wish.wizard for wish in listen} & {wish.wizard for wish in serving})
    daemons = tuple(
        wish
        for wish in wished
        if wish.kind == DAEMON
        and (wish.wizard in rebound or not _runs(wish, present, made_of[wish.ref], touched))
    )
    of_runners = [wish for wish in wished if wish.kind == RUNNER_SOCKET]
    moved = tuple(
        wish
        for wish in of_runners
        if wish.ref in active and not _in_force(wish, present, made_of[wish.ref], touched)
    )
    runners = tuple(
        wish
        for wish in wished
        if wish.kind == RUNNER
        and state(wish.ref, _NEVER).active not in {"inactive", "failed"}
        and (
            wish.wizard in {one.wizard for one in moved}
            or not _is_of(wish, present, made_of[wish.ref], touched)
        )
    )
    restarted = {wish.ref for wish in daemons}
    replaced = replaced or present.release != wanted.id
    runtimes = tuple(
        wish
        for wish in wished
        if wish.kind == RUNTIME
        and not (wish.ref in active and _in_force(wish, present, made_of[wish.ref], touched))
    )
    return ToRun(
        stop=stop,
        disable=stop,
        enable=tuple(
            wish.ref for wish in wished if wish.enable and not state(wish.ref, _NEVER).enabled
        ),
        reread=bool(to_place.of_units() != ToPlace((), ()))
        or any(state(wish.ref, _NEVER).stale for wish in wished),
        vacate=(*(wish for wish in serving if wish.wizard in rebound), *runners),
        rebind=(
            *(wish for wish in sockets if wish.ref in active and wish.wizard in rebound),
            *moved,
        ),
        listen=(*listen, *(wish for wish in of_runners if wish.ref not in active)),
        daemons=daemons,
        conductors=tuple(
            wish for wish in wished if wish.kind == CONDUCTOR and wish.ref not in active
        ),
        reload=tuple(
            wish
            for wish in wished
            if wish.kind == DAEMON
            and wish.ref not in restarted
            and (replaced or present.health[wish.wizard].installed != wanted.id)
        ),
        runtimes=runtimes,
    )


def _no_longer(
    wished: Iterable[Wish], before: Manifest | None, present: Present
) -> tuple[Ref, ...]:
    """Our units of the release before that the new one does not have."""
    if before is None:
        return ()
    kept = {wish.ref for wish in wished}
    return tuple(
        wish.ref
        for wish in reversed(wishes(before))
        if wish.ref not in kept and is_ours(wish.ref) and present.states.get(wish.ref, _NEVER).known
    )


def _runs(wish: Wish, present: Present, own: set[str], touched: set[str]) -> bool:
    """Whether a daemon runs what its wish says, under its unit and beside its soul as they stand.

    A soul that was placed anew, be it the same one, is out of the daemon's sight until a restart.
    """
    state = present.states.get(wish.ref, _NEVER)
    if not state.is_active or own & touched:
        return False
    souls = {place for place in own if not place.startswith(UNITS + "/")}
    if not _older(souls, present, state):
        return False
    answer = present.health.get(wish.wizard)
    return answer is not None and answer.wizard == wish.wizard and answer.running == wish.digest


def _is_of(wish: Wish, present: Present, own: set[str], touched: set[str]) -> bool:
    """Whether a runner is of the release, as it says itself, and runs under its unit as it is."""
    state = present.states.get(wish.ref, _NEVER)
    return (
        not own & touched
        and _older(own, present, state)
        and state.said == f"{RUNNER_SAYS}{wish.digest}"
    )


def _in_force(wish: Wish, present: Present, own: set[str], touched: set[str]) -> bool:
    """Whether the running process of a unit was started with what the wish says.

    What we wrote down at its start tells; for another start, that nothing changed since then.
    """
    state = present.states.get(wish.ref, _NEVER)
    record = present.records.get(wish.ref.key)
    if record is not None and record.invocation == state.invocation:
        return record.digest == wish.digest
    if own & touched:
        return False
    return _older(own, present, state)


def _older(own: set[str], present: Present, state: State) -> bool:
    """Whether all that lies at the places ``own`` lay there when a process started."""
    return all(
        present.found[place].changed <= present.booted + state.started
        for place in own
        if place in present.found
    )


def _inputs(wish: Wish, declared: Iterable[Placement]) -> set[str]:
    """The places that the process of a unit is made of."""
    stem = wish.ref.unit.partition("@")[0]
    suffix = wish.ref.unit.rpartition(".")[2]
    own = {f"{UNITS}/{stem}@.{suffix}", f"{UNITS}/{wish.ref.unit}"}
    below = f"{UNITS}/{wish.ref.unit}.d/"
    return {
        item.place
        for item in declared
        if item.place in own
        or item.place.startswith(below)
        or (item.wizard == wish.wizard and item.kind in _READ_BY.get(wish.kind, ()))
    }
