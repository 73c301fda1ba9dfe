"""Differences for people: unified text of files, a few words for code. Pure."""

from __future__ import annotations

import difflib
import hashlib
from typing import Final

from fleet_agent.release.manifest import Manifest

_NAMED: Final = 8
_CODE: Final = "code/"


def unified(old: bytes | None, new: bytes | None, path: str) -> str:
    """The change from ``old`` to ``new`` as a unified diff; None stands for no file.

    What is no UTF-8 text is shown by size and digest. Empty when nothing changes.
    """
    if old == new:
        return ""
    try:
        before = [] if old is None else old.decode().splitlines(keepends=True)
        after = [] if new is None else new.decode().splitlines(keepends=True)
    except UnicodeDecodeError:
        return f"--- {path}: {_described(old)}\n+++ {path}: {_described(new)}\n"
    lines = difflib.unified_diff(
        before,
        after,
        "/dev/null" if old is None else f"a{path}",
        "/dev/null" if new is None else f"b{path}",
    )
    text = "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
    if text:
        return text
    # An empty file appears or goes: difflib has no line to show for it.
    return f"--- {path}: {_described(old)}\n+++ {path}: {_described(new)}\n"


def _described(content: bytes | None) -> str:
    if content is None:
        return "absent"
    return f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()[:16]}"


def code_summary(old: Manifest | None, new: Manifest) -> str:
    """What changes in the code, in one sentence a kind; empty when nothing does."""
    before = {} if old is None else {entry.path: entry.sha256 for entry in old.below(_CODE)}
    after = {entry.path: entry.sha256 for entry in new.below(_CODE)}
    kinds = (
        ("added", sorted(after.keys() - before.keys())),
        ("removed", sorted(before.keys() - after.keys())),
        (
            "changed",
            sorted(path for path in after if before.get(path, after[path]) != after[path]),
        ),
    )
    return "".join(_counted(kind, paths) for kind, paths in kinds if paths)


def _counted(kind: str, paths: list[str]) -> str:
    named = ", ".join(path.removeprefix(_CODE) for path in paths[:_NAMED])
    rest = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    count = "1 file" if len(paths) == 1 else f"{len(paths)} files"
    return f"{count} {kind}: {named}{rest}\n"
