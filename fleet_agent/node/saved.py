"""The baseline: what lay on this node before a run. How it lies there again is ``restore``.

Written once, fsynced, before anything changes; read by the way back. Copies of files lie beside.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from fleet_agent.errors import NodeError
from fleet_agent.node import durable
from fleet_agent.node.desired import PIPELINE
from fleet_agent.node.layout import Layout
from fleet_agent.node.place import ABSENT, FILE, LINK, Found, Places
from fleet_agent.node.present import Present, Record
from fleet_agent.node.units import Ref, State, ref
from fleet_agent.release import manifest as manifests
from fleet_agent.release.manifest import Manifest

FILE_NAME: Final = "baseline.json"


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

    Of the others the release in force has the content; of what it has not, a copy is kept too.
    ``most`` is the size of the largest file that is copied, in bytes. Raises NodeError for a
    place that holds neither a file nor a link: that could not be put back.
    """
    directory = layout.saved(nonce)
    shutil.rmtree(directory, ignore_errors=True)
    durable.directory(f"{directory}/files", 0o700)
    where = Places(layout.root, unprivileged=layout.unprivileged)
    places: list[SavedPlace] = []
    missing: dict[str, None] = {}
    held = {entry.sha256 for entry in (present.manifest.files if present.manifest else ())}
    for number, (place, found) in enumerate(sorted(present.found.items())):
        copy = ""
        if place in changing:
            if found.kind not in (ABSENT, FILE, LINK):
                raise NodeError(
                    f"a {found.kind} lies where a file is to be",
                    where=place,
                    mend="move it away, or name another place",
                )
            missing.update(dict.fromkeys(where.missing_directories(place)))
        if found.kind == FILE and (place in changing or found.sha256 not in held):
            copy = str(number)
            data = where.read(place, most)
            if hashlib.sha256(data).hexdigest() != found.sha256:
                # What is put back gets the owner that was seen, so it must be what was seen.
                raise NodeError("changed while it was copied", where=place)
            durable.write(f"{directory}/files/{copy}", data)
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
    """The baseline of the run ``nonce``. Raises NodeError when it is not there, or damaged."""
    path = f"{layout.saved(nonce)}/{FILE_NAME}"
    data = durable.read_json(path)
    if data is None:
        raise NodeError("is not there: nobody knows what this node must return to", where=path)
    try:
        return _from_json(data)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise NodeError(f"is damaged: {type(error).__name__} {error}", where=path) from None


def _from_json(data: Any) -> Baseline:
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


def releases(layout: Layout) -> tuple[str, ...]:
    """The names of the releases on this node."""
    try:
        return tuple(sorted(name for name in os.listdir(layout.releases) if name[0] != "."))
    except FileNotFoundError:
        return ()
