"""Writes a release's files to their places, and shows the differences for people."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from fleet_agent.errors import NodeError
from fleet_agent.node.accounts import gid_of
from fleet_agent.node.act import Act
from fleet_agent.node.decide import ToPlace
from fleet_agent.node.desired import Placement
from fleet_agent.node.layout import UNITS
from fleet_agent.node.place import FILE, Owner, Places
from fleet_agent.release.diff import unified

_SECRETIVE: Final = "the content came not with this phase, only its digest is known\n"


def put(act: Act, to_place: ToPlace) -> bool:
    """Write and remove what ``to_place`` says; whether anything was to be done.

    Raises NodeError when a content is missing or a group does not exist.
    """
    where = Places(act.layout.root, unprivileged=act.layout.unprivileged)
    for item in to_place.write:
        content = act.contents.need(item.sha256, item.source)
        where.write(item.place, content, item.mode, _owner(act, item))
    for place in to_place.remove:
        where.remove(place)
        if _is_of_dropins(place):
            where.remove_directory(os.path.dirname(place))
    return any(to_place)


def _is_of_dropins(place: str) -> bool:
    """Whether ``place`` lies in a unit's own folder of drop-ins, which goes with its last one."""
    folder = os.path.dirname(place)
    return folder.endswith(".d") and os.path.dirname(folder) == UNITS


def _owner(act: Act, item: Placement) -> Owner | None:
    if act.layout.unprivileged:
        return None
    gid = gid_of(item.group)
    if gid is None:
        raise NodeError("there is no such group", where=f"group {item.group} for {item.place}")
    return Owner(0, gid)


def differences(
    act: Act, to_place: ToPlace, *, kinds: Iterable[str]
) -> tuple[tuple[str, str], ...]:
    """Unified diffs of what ``to_place`` would do to files of these ``kinds``."""
    where = Places(act.layout.root, unprivileged=act.layout.unprivileged)
    wanted = set(kinds)
    found: list[tuple[str, str]] = []
    for item in to_place.write:
        if item.kind in wanted:
            new = act.contents.get(item.sha256)
            text = (
                _SECRETIVE
                if new is None
                else unified(_there(act, where, item.place), new, item.place)
            )
            found.append((item.place, text or _mode_change(where, item)))
    for place in to_place.remove:
        found.append((place, unified(_there(act, where, place), None, place)))
    return tuple(found)


def _there(act: Act, where: Places, place: str) -> bytes | None:
    if where.look(place).kind != FILE:
        return None
    return where.read(place, act.spec.limits.whole("deploy_file_bytes"))


def _mode_change(where: Places, item: Placement) -> str:
    found = where.look(item.place)
    now = f"{found.mode:04o} {found.uid}:{found.gid}"
    return f"mode and owner: {now} becomes {item.mode:04o} root:{item.group}\n"
