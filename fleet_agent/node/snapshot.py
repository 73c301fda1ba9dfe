"""Copies of what wizards have learnt, made before their inputs change. Never put back by itself.

A wizard decides what lies there while we copy: a copy is for its own user's eyes, and root's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, NamedTuple

from fleet_agent import proc
from fleet_agent.limits import Limits
from fleet_agent.node import durable
from fleet_agent.node.layout import Layout
from fleet_agent.node.place import Places

_KEPT: Final = 3
_COPY_SECONDS: Final = 300.0
_MIB: Final = 1024 * 1024
# A name takes room too, and walking through folders needs an end.
_ENTRY_BYTES: Final = 4096
_LEVELS: Final = 64
_GONE: Final = b"No such file or directory"
_TRIES: Final = 2
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


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
            with where.directory(path) as handle:
                if handle < 0:
                    continue
                too_much = _too_much(handle, most * _MIB)
                if too_much:
                    notes.append(f"{wizard}: {path} {too_much} and was not copied")
                    continue
                target = f"{layout.snapshots}/{nonce}/{wizard}/{number}"
                durable.directory(layout.snapshots, 0o700)
                durable.directory(os.path.dirname(target), 0o700)
                if not _copy(handle, target):
                    notes.append(f"{wizard}: {path} changed while it was copied")
                made.append(target)
    if made:
        prune(layout)
    return Taken(tuple(made), tuple(notes))


def _copy(handle: int, target: str) -> bool:
    """Copy the open directory; False when something in it went away meanwhile, in each try."""
    # By its descriptor: whoever owns what is above could have put another directory there by now.
    source = f"/proc/{os.getpid()}/fd/{handle}/."
    argv = ["cp", "--archive", "--reflink=auto", "--one-file-system", "--no-target-directory"]
    for _ in range(_TRIES):
        remove(target)
        done = proc.run(
            [*argv, "--", source, target],
            timeout_seconds=_COPY_SECONDS,
            env=_ENVIRONMENT,
            check=False,
        )
        if done.code == 0:
            return True
        other = [line for line in done.err.splitlines() if not line.endswith(_GONE)]
        if other or not done.err:
            raise proc.ProcessError(
                f"ended with {done.code}: {done.complaint or 'no output'}", where="cp"
            )
    return False


def prune(layout: Layout) -> None:
    """Keep the last few runs' copies."""
    with os.scandir(layout.snapshots) as entries:
        runs = sorted(entries, key=lambda entry: entry.stat(follow_symlinks=False).st_mtime)
    for old in runs[:-_KEPT]:
        remove(old.path)


def remove(path: str) -> None:
    """Remove a copy, however deep it became while it was made (rmtree has a depth)."""
    argv = ["rm", "--recursive", "--force", "--one-file-system", "--", path]
    proc.run(argv, timeout_seconds=_COPY_SECONDS, env=_ENVIRONMENT)


class _TooMuch(Exception):  # noqa: N818 (it reads as what happened)
    """A directory that is not to be copied, and why."""


def _too_much(handle: int, most: int) -> str:
    """Why what lies in the open directory is not to be copied, empty if it is. Follows no link."""
    try:
        _left(handle, most, 0, os.fstat(handle).st_dev)
    except _TooMuch as why:
        return f"is larger than {most // _MIB} MiB" if not str(why) else str(why)
    return ""


def _left(handle: int, left: int, level: int, device: int) -> int:
    """How many of ``left`` bytes remain after all below the directory. Raises _TooMuch."""
    if level > _LEVELS:
        raise _TooMuch(f"is nested deeper than {_LEVELS} levels")
    with os.scandir(handle) as entries:
        for entry in entries:
            try:
                seen = entry.stat(follow_symlinks=False)
                if seen.st_dev != device:
                    continue  # another file system, which is not copied
                left -= max(seen.st_size, _ENTRY_BYTES)
                if left < 0:
                    raise _TooMuch
                if not entry.is_dir(follow_symlinks=False):
                    continue
                below = os.open(entry.name, _DIRECTORY, dir_fd=handle)
            except (FileNotFoundError, NotADirectoryError):
                continue  # the wizard works on while we look
            try:
                left = _left(below, left, level + 1, device)
            finally:
                os.close(below)
    return left
