"""Copies of what wizards have learnt, made before their inputs change. Never put back by itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import Final, NamedTuple

from fleet_agent import proc
from fleet_agent.limits import Limits
from fleet_agent.node import durable
from fleet_agent.node.layout import Layout
from fleet_agent.node.place import DIRECTORY, Places

_KEPT: Final = 3
_COPY_SECONDS: Final = 300.0
_MIB: Final = 1024 * 1024


class Taken(NamedTuple):
    """Where copies were made, and what people should know."""

    made: tuple[str, ...]
    notes: tuple[str, ...]


def take(layout: Layout, nonce: str, state: Mapping[str, tuple[str, ...]], limits: Limits) -> Taken:
    """Copy each state directory of each wizard in ``state``, unless it is larger than the limit.

    Raises ProcessError when a copy fails: a deploy must not go on without it.
    """
    made: list[str] = []
    notes: list[str] = []
    most = limits.whole("deploy_state_snapshot_mib")
    where = Places(layout.root, unprivileged=layout.unprivileged)
    for wizard, paths in state.items():
        for number, path in enumerate(paths):
            if where.look(path).kind != DIRECTORY:
                continue
            if _larger_than(layout.at(path), most * _MIB):
                notes.append(f"{wizard}: {path} is larger than {most} MiB and was not copied")
                continue
            target = f"{layout.snapshots}/{nonce}/{wizard}/{number}"
            durable.directory(layout.snapshots, 0o700)
            durable.directory(os.path.dirname(target), 0o700)
            argv = ["cp", "--archive", "--reflink=auto", "--no-target-directory", "--"]
            proc.run([*argv, layout.at(path), target], timeout_seconds=_COPY_SECONDS)
            made.append(target)
    if made:
        prune(layout)
    return Taken(tuple(made), tuple(notes))


def prune(layout: Layout) -> None:
    """Keep the last few runs' copies."""
    with os.scandir(layout.snapshots) as entries:
        runs = sorted(entries, key=lambda entry: entry.stat(follow_symlinks=False).st_mtime)
    for old in runs[:-_KEPT]:
        shutil.rmtree(old.path)


def _larger_than(path: str, most: int) -> bool:
    """Whether the files below ``path`` hold more than ``most`` bytes; links are not followed."""
    size = 0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                size += os.lstat(f"{directory}/{name}").st_size
            except FileNotFoundError:
                # The wizard works on while we look.
                continue
        if size > most:
            return True
    return False
