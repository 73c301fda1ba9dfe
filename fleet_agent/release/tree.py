"""A release as a value: every path with its mode and content. Nothing touches a disk here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from fleet_agent.release.manifest import Entry, Manifest, WizardInputs

# Path in the release → (permission bits, content).
Tree: TypeAlias = Mapping[str, tuple[int, bytes]]


def entries_of(tree: Tree) -> tuple[Entry, ...]:
    """The tree's files as a manifest lists them, by path."""
    return tuple(
        Entry(path, mode, hashlib.sha256(content).hexdigest(), len(content))
        for path, (mode, content) in sorted(tree.items())
    )


def manifest_of(tree: Tree, wizards: Iterable[WizardInputs], *, orchestrator: bool) -> Manifest:
    """The manifest of ``tree``, with its wizards in the order of their names."""
    ordered = tuple(sorted(wizards, key=lambda wizard: wizard.name))
    return Manifest(entries_of(tree), ordered, orchestrator)
