"""The fingerprint: one digest of everything that a release declares on a node.

The same function digests what is wanted and what is there; drift is where the two differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fleet_agent.release.manifest import digest


class Declared(NamedTuple):
    """One declared thing: a ``kind`` of it, its ``name`` (place, unit) and its ``value``."""

    kind: str
    name: str
    value: str


def fingerprint(declared: Iterable[Declared]) -> str:
    """The digest of all that is declared, in whatever order it is given."""
    return digest(sorted(list(thing) for thing in declared))


def drift(wanted: Iterable[Declared], actual: Iterable[Declared]) -> tuple[tuple[str, str], ...]:
    """Kind and name of everything that differs, is missing or is too much, in order."""
    left = {(thing.kind, thing.name): thing.value for thing in wanted}
    right = {(thing.kind, thing.name): thing.value for thing in actual}
    return tuple(
        sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))
    )
