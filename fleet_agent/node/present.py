"""Looks at what is there on the node, for the deciders: release, places, units, daemons.

Reads only, and the same for a check, a baseline and a deploy.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from fleet_agent.errors import NodeError
from fleet_agent.node import durable, health
from fleet_agent.node.accounts import gid_of
from fleet_agent.node.desired import DAEMON, placements, wishes
from fleet_agent.node.health import Answer
from fleet_agent.node.layout import Layout
from fleet_agent.node.place import Found, Places
from fleet_agent.node.units import Ref, State, Units
from fleet_agent.release import manifest as manifests
from fleet_agent.release.manifest import Manifest


class Record(NamedTuple):
    """With what a process of a unit was started: which start it was, and the digest."""

    invocation: str
    digest: str


class Present(NamedTuple):
    """What is there. ``booted`` is the Unix time at which this machine's uptime began."""

    release: str | None
    manifest: Manifest | None
    found: Mapping[str, Found]
    groups: Mapping[str, int | None]
    booted: float
    states: Mapping[Ref, State] = {}
    health: Mapping[str, Answer] = {}
    records: Mapping[str, Record] = {}


def current(layout: Layout) -> tuple[str | None, Manifest | None]:
    """The release in force and its manifest; None twice on a bare node. Raises NodeError."""
    try:
        target = os.readlink(layout.current)
    except FileNotFoundError:
        return None, None
    except OSError as error:
        raise NodeError(f"is no link: {error.strerror}", where=layout.current) from error
    name = os.path.basename(target)
    return name, of_release(layout, name)


def of_release(layout: Layout, name: str) -> Manifest:
    """The manifest of a release on this node. Raises NodeError when it can't be read."""
    path = f"{layout.release(name)}/manifest.json"
    data = durable.read_json(path)
    if data is None:
        raise NodeError("is not there", where=path)
    return manifests.from_json(data)


def records(layout: Layout) -> dict[str, Record]:
    """With what each unit was started, as far as we started it."""
    data = durable.read_json(layout.running) or {}
    return {key: Record(item["invocation"], item["digest"]) for key, item in data.items()}


def write_records(layout: Layout, kept: Mapping[str, Record]) -> None:
    """Replace the records."""
    value: dict[str, Any] = {key: record._asdict() for key, record in sorted(kept.items())}
    durable.write_json(layout.running, value)


def look(
    layout: Layout, wanted: Manifest | None, units: Units, *, also: Manifest | None = None
) -> Present:
    """Look at everything that ``wanted``, the release in force, and ``also`` declare."""
    release, manifest = current(layout)
    declared = _distinct(wanted, manifest, also)
    wished = dict.fromkeys(wish for one in declared for wish in wishes(one))
    states = units.show(dict.fromkeys(wish.ref for wish in wished)) if wished else {}
    daemons = {wish.wizard: wish.ref for wish in wished if wish.kind == DAEMON}
    seen = _at_places(layout, release, manifest, declared)
    return seen._replace(
        states=states,
        health={
            name: health.ask(layout.socket(name))
            for name, ref in daemons.items()
            if states[ref].is_active
        },
        records=records(layout),
    )


def look_at_places(layout: Layout, wanted: Manifest) -> Present:
    """Look at the release in force and the places of ``wanted`` only: no unit, no daemon."""
    release, manifest = current(layout)
    return _at_places(layout, release, manifest, [wanted])


def _distinct(*given: Manifest | None) -> list[Manifest]:
    found: dict[str, Manifest] = {}
    for one in given:
        if one is not None:
            found.setdefault(one.id, one)
    return list(found.values())


def _at_places(
    layout: Layout, release: str | None, manifest: Manifest | None, declared: list[Manifest]
) -> Present:
    places = dict.fromkeys(item for one in declared for item in placements(one))
    where = Places(layout.root, unprivileged=layout.unprivileged)
    found = {item.place: where.look(item.place) for item in places}
    return Present(
        release=release,
        manifest=manifest,
        found=found,
        groups={item.group: gid_of(item.group) for item in places},
        booted=time.time() - time.monotonic(),
    )
