"""The baseline: what lay on this node before a run, and how to let it lie there again.

Written once, fsynced, before anything changes; read by the way back. Copies of files lie beside.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from fleet_agent.errors import NodeError
from fleet_agent.node import durable
from fleet_agent.node.desired import PIPELINE
from fleet_agent.node.layout import Layout
from fleet_agent.node.place import ABSENT, FILE, LINK, Found, Owner, Places
from fleet_agent.node.present import Present, Record
from fleet_agent.node.units import Ref, State, ref
from fleet_agent.release import manifest as manifests
from fleet_agent.release.manifest import Manifest

FILE_NAME: Final = "baseline.json"
# What a mode may give back: a set-uid bit is nobody's configuration.
_MODES: Final = 0o777


class SavedPlace(NamedTuple):
    """What lay at a place; ``copy`` names the copy of a file that was going to change."""

    place: str
    found: Found
    copy: str = ""


class SavedUnit(NamedTuple):
    """How a unit was."""

    ref: Ref
    known: bool
    active: bool
    enabled: bool
    invocation: str


class Baseline(NamedTuple):
    """What a node returns to. ``directories`` were not there, the deepest come first.

    ``health`` holds status and running input of each daemon that answered.
    """

    release: str | None
    manifest: Manifest | None
    places: tuple[SavedPlace, ...]
    directories: tuple[str, ...]
    units: tuple[SavedUnit, ...]
    records: Mapping[str, Record]
    health: Mapping[str, tuple[str, str]]
    releases: tuple[str, ...]


def save(
    layout: Layout, nonce: str, present: Present, changing: Collection[str], most: int
) -> Baseline:
    """Write down what is there, with copies of the files at the places that are ``changing``.

    ``most`` is the size of the largest file that is copied, in bytes. Raises NodeError for a
    place that holds neither a file nor a link: that could not be put back.
    """
    directory = layout.saved(nonce)
    shutil.rmtree(directory, ignore_errors=True)
    durable.directory(f"{directory}/files", 0o700)
    where = Places(layout.root, unprivileged=layout.unprivileged)
    places: list[SavedPlace] = []
    missing: dict[str, None] = {}
    for number, (place, found) in enumerate(sorted(present.found.items())):
        copy = ""
        if place in changing:
            if found.kind not in (ABSENT, FILE, LINK):
                raise NodeError(
                    f"a {found.kind} lies where a file is to be",
                    where=place,
                    mend="move it away, or name another place",
                )
            if found.kind == FILE:
                copy = str(number)
                durable.write(f"{directory}/files/{copy}", where.read(place, most))
            missing.update(dict.fromkeys(where.missing_directories(place)))
        places.append(SavedPlace(place, found, copy))
    baseline = Baseline(
        release=present.release,
        manifest=present.manifest,
        places=tuple(places),
        directories=tuple(sorted(missing, key=lambda path: -path.count("/"))),
        units=tuple(
            SavedUnit(unit, state.known, _ran(unit, state), state.enabled, state.invocation)
            for unit, state in present.states.items()
        ),
        records=present.records,
        health={
            name: (answer.status, answer.running)
            for name, answer in present.health.items()
            if not answer.why
        },
        releases=releases(layout),
    )
    durable.write_json(f"{directory}/{FILE_NAME}", _to_json(baseline))
    return baseline


def _ran(unit: Ref, state: State) -> bool:
    """Whether a unit ran. The pipeline always does: killed, it may only just be coming back.

    Taken for one that did not, the way back would stop the very process that drives it.
    """
    return state.is_active or (state.known and unit.unit in PIPELINE)


def load(layout: Layout, nonce: str) -> Baseline:
    """The baseline of the run ``nonce``. Raises NodeError when it is not there."""
    path = f"{layout.saved(nonce)}/{FILE_NAME}"
    data = durable.read_json(path)
    if data is None:
        raise NodeError("is not there: nobody knows what this node must return to", where=path)
    manifest = data["manifest"]
    return Baseline(
        release=data["release"],
        manifest=None if manifest is None else manifests.from_json(manifest),
        places=tuple(
            SavedPlace(item["place"], Found(**item["found"]), item["copy"])
            for item in data["places"]
        ),
        directories=tuple(data["directories"]),
        units=tuple(
            SavedUnit(ref(item["unit"]), item["known"], item["active"], item["enabled"],
                      item["invocation"])
            for item in data["units"]
        ),
        records={key: Record(**item) for key, item in data["records"].items()},
        health={name: (item[0], item[1]) for name, item in data["health"].items()},
        releases=tuple(data["releases"]),
    )  # fmt: skip


def _to_json(baseline: Baseline) -> dict[str, Any]:
    manifest = baseline.manifest
    return {
        "release": baseline.release,
        "manifest": None if manifest is None else manifests.to_json(manifest),
        "places": [
            {"place": item.place, "found": item.found._asdict(), "copy": item.copy}
            for item in baseline.places
        ],
        "directories": list(baseline.directories),
        "units": [
            {
                "unit": unit.ref.key,
                "known": unit.known,
                "active": unit.active,
                "enabled": unit.enabled,
                "invocation": unit.invocation,
            }
            for unit in baseline.units
        ],
        "records": {key: record._asdict() for key, record in baseline.records.items()},
        "health": dict(baseline.health),
        "releases": list(baseline.releases),
    }


def restore(layout: Layout, nonce: str, saved: Iterable[SavedPlace]) -> tuple[str, ...]:
    """Let there lie what lay there; returns the places that had to be changed.

    Raises NodeError where somebody else has changed a file that this run did not copy.
    """
    where = Places(layout.root, unprivileged=layout.unprivileged)
    restored: list[str] = []
    for item in saved:
        now = where.look(item.place)
        if same(now, item.found, any_owner=layout.unprivileged):
            continue
        _restore_one(layout, nonce, where, item)
        restored.append(item.place)
    return tuple(restored)


def _restore_one(layout: Layout, nonce: str, where: Places, item: SavedPlace) -> None:
    found = item.found
    owner = Owner(found.uid, found.gid)
    if found.kind == ABSENT:
        where.remove(item.place)
    elif found.kind == LINK:
        where.link(item.place, found.target, owner)
    elif item.copy:
        with open(f"{layout.saved(nonce)}/files/{item.copy}", "rb") as source:
            where.write(item.place, source.read(), found.mode & _MODES, owner)
    else:
        raise NodeError("was changed by somebody else, and there is no copy", where=item.place)


def same(now: Found, before: Found, *, any_owner: bool = False) -> bool:
    """Whether two looks at a place saw the same thing."""
    if now.kind != before.kind or now.kind == ABSENT:
        return now.kind == before.kind
    if now.sha256 != before.sha256 or now.target != before.target:
        return False
    if not any_owner and (now.uid, now.gid) != (before.uid, before.gid):
        return False
    return now.kind == LINK or now.mode & _MODES == before.mode & _MODES


def releases(layout: Layout) -> tuple[str, ...]:
    """The names of the releases on this node."""
    try:
        return tuple(sorted(name for name in os.listdir(layout.releases) if name[0] != "."))
    except FileNotFoundError:
        return ()
