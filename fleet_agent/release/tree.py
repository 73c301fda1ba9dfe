"""A release as a value: every path with its mode and content. Nothing touches a disk here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TypeAlias

from fleet_agent.release.manifest import Entry

# Path in the release → (permission bits, content).
Tree: TypeAlias = Mapping[str, tuple[int, bytes]]


def entries_of(tree: Tree) -> tuple[Entry, ...]:
    """The tree's files as a manifest lists them, by path."""
    return tuple(
        Entry(path, mode, hashlib.sha256(content).hexdigest(), len(content))
        for path, (mode, content) in sorted(tree.items())
    )
