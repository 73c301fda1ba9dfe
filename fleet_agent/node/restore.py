"""Lets there lie again what lay there before a run, whoever spoiled it meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final, NamedTuple

from fleet_agent.errors import FleetError
from fleet_agent.node.content import Contents
from fleet_agent.node.layout import Layout
from fleet_agent.node.place import ABSENT, LINK, Found, Owner, PlaceError, Places
from fleet_agent.node.saved import Baseline, SavedPlace

# What a mode may give back: a set-uid bit is nobody's configuration.
_MODES: Final = 0o777


class Restored(NamedTuple):
    """The places that had to be changed, and a sentence for each that could not be."""

    places: tuple[str, ...]
    problems: tuple[str, ...]


def places(layout: Layout, nonce: str, baseline: Baseline, saved: Iterable[SavedPlace]) -> Restored:
    """Let there lie what lay there. One place that can't be put back keeps no other from it.

    Many are a wizard's own to spoil, and the others of its node must not suffer from that; who
    looks whether all is back will find it.
    """
    contents = Contents({})
    contents.add_release(layout, baseline.release, baseline.manifest)
    restored: list[str] = []
    problems: list[str] = []
    for item in saved:
        try:
            if _restore_one(layout, nonce, contents, item):
                restored.append(item.place)
        except (FleetError, OSError) as error:
            problems.append(f"{item.place} could not be put back: {error}")
    return Restored(tuple(restored), tuple(problems))


def _restore_one(layout: Layout, nonce: str, contents: Contents, item: SavedPlace) -> bool:
    """Whether there was something to be changed."""
    if _lies_there(layout, item):
        return False
    where = Places(layout.root, unprivileged=layout.unprivileged, clearing=True)
    found = item.found
    if found.kind == ABSENT:
        where.remove(item.place)
    elif found.kind == LINK:
        where.link(item.place, found.target)
    else:
        data = _content(layout, nonce, contents, item)
        where.write(item.place, data, found.mode & _MODES, Owner(found.uid, found.gid))
    return True


def _content(layout: Layout, nonce: str, contents: Contents, item: SavedPlace) -> bytes:
    """What lay there: the copy, or for what the run was not to change, the release of before's."""
    if item.copy:
        with open(f"{layout.saved(nonce)}/files/{item.copy}", "rb") as source:
            return source.read()
    return contents.need(item.found.sha256, item.place)


def _lies_there(layout: Layout, item: SavedPlace) -> bool:
    where = Places(layout.root, unprivileged=layout.unprivileged)
    try:
        return same(where.look(item.place), item.found, any_owner=layout.unprivileged)
    except PlaceError:
        return False  # somebody has changed the way to it


def remove_directories(layout: Layout, made: Iterable[str]) -> None:
    """Remove those of the directories ``made`` that are empty; what somebody spoiled stays."""
    where = Places(layout.root, unprivileged=layout.unprivileged)
    for directory in made:
        with suppress(PlaceError):
            where.remove_directory(directory)


def same(now: Found, before: Found, *, any_owner: bool = False) -> bool:
    """Whether two looks at a place saw the same thing."""
    if now.kind != before.kind or now.kind == ABSENT:
        return now.kind == before.kind
    if now.sha256 != before.sha256 or now.target != before.target:
        return False
    if now.kind == LINK:
        return True
    if not any_owner and (now.uid, now.gid) != (before.uid, before.gid):
        return False
    return now.mode & _MODES == before.mode & _MODES
