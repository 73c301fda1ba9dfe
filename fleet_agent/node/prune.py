"""Removes what nobody needs any more: old releases, old code of our own, old saved baselines."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from typing import Any, Final

from fleet_agent.node import durable, health, present, saved
from fleet_agent.node.journal import Journal
from fleet_agent.node.layout import Layout
from fleet_agent.release.manifest import Manifest

_CODE_KEPT: Final = 3


def verified(layout: Layout) -> list[dict[str, Any]]:
    """The releases that were verified on this node, the last one last."""
    data = durable.read_json(layout.verified)
    return list(data["verified"]) if isinstance(data, dict) else []


def mark_verified(layout: Layout, release: str, commit: str, deploy: int, at: float) -> None:
    """Write down that ``release`` is verified, once, with its last deploy."""
    kept = [item for item in verified(layout) if item["release"] != release]
    kept.append({"release": release, "commit": commit, "deploy": deploy, "at": at})
    durable.write_json(layout.verified, {"v": 1, "verified": kept})


def to_remove(
    there: Iterable[str], verified_names: Sequence[str], keep: int, needed: Iterable[str | None]
) -> tuple[str, ...]:
    """Which releases may go: not of the last ``keep`` verified, and not ``needed``. Pure."""
    stay = {*verified_names[-keep:], *needed}
    return tuple(sorted(name for name in there if name not in stay))


def releases(layout: Layout, journal: Journal, keep: int) -> tuple[str, ...]:
    """Remove old releases and return their names.

    What is in force, what this run could still return to, and what some process still runs from
    stays, however old. While a daemon can't be asked, everything stays.
    """
    now, manifest = present.current(layout)
    names = [item["release"] for item in verified(layout)]
    there = saved.releases(layout)
    daemons = of_daemons(layout, manifest)
    if daemons is None:
        return ()
    needed = {now, journal.baseline, journal.target, *daemons, *in_use(layout)}
    gone = to_remove(there, names, keep, needed)
    for name in gone:
        shutil.rmtree(layout.release(name))
    kept = [item for item in verified(layout) if item["release"] not in gone]
    if len(kept) != len(names):
        durable.write_json(layout.verified, {"v": 1, "verified": kept})
    return gone


def of_daemons(layout: Layout, manifest: Manifest | None) -> set[str] | None:
    """The releases that daemons say they run from; None when one of them can't be asked."""
    answers = [
        health.ask(layout.socket(wizard.name))
        for wizard in (() if manifest is None else manifest.wizards)
    ]
    if any(answer.why for answer in answers):
        return None
    return {answer.release for answer in answers}


def in_use(layout: Layout) -> set[str]:
    """The releases that some process of this node has as its directory, or in its command line."""
    below = layout.releases + "/"
    found: set[str] = set()
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        try:
            cwd = os.readlink(f"/proc/{pid}/cwd")
            with open(f"/proc/{pid}/cmdline", "rb") as source:
                words = source.read().decode("utf-8", "replace").split("\0")
        except OSError:
            # The process ended while we looked.
            continue
        for word in (cwd, *words):
            if word.startswith(below):
                found.add(word.removeprefix(below).partition("/")[0])
    return found


def leftovers(layout: Layout, journal: Journal) -> None:
    """Remove what earlier runs saved for a way back that nobody can go any more."""
    directory = os.path.dirname(layout.saved("x"))
    for name in os.listdir(directory) if os.path.isdir(directory) else ():
        if name != journal.nonce:
            shutil.rmtree(f"{directory}/{name}")
    for name in os.listdir(layout.releases) if os.path.isdir(layout.releases) else ():
        if name.startswith("."):
            shutil.rmtree(f"{layout.releases}/{name}")
    _old_code(layout)


def _old_code(layout: Layout) -> None:
    if not os.path.isdir(layout.code):
        return
    in_force = os.path.basename(os.path.realpath(f"{layout.code}/node.pyz"))
    with os.scandir(layout.code) as entries:
        found = [entry for entry in entries if entry.name.endswith(".pyz") and entry.is_file()]
        found = [entry for entry in found if not entry.is_symlink() and entry.name != in_force]
        found.sort(key=lambda entry: entry.stat().st_mtime)
    for old in found[: -(_CODE_KEPT - 1)]:
        os.unlink(old.path)
