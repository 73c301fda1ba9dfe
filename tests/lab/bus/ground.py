"""The fleet under proof: three bare nodes with disks of their own, taken in by bootstrap.

The release is the shipped one, unless a bug is put in (`bugs`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .. import content
from ..content import Registry
from ..fleet import Fleet
from ..gitserver import GitServer
from ..lab import DEFAULT_SUITES, Lab
from .disk import Disk, insert

# Shorter than the defaults, so that what was mended is used soon; no other paths are taken.
SETTINGS = {
    "outbox_retry_first_seconds": 0.1,
    "outbox_retry_most_seconds": 1,
    "outbox_connect_seconds": 2,
    "outbox_answer_seconds": 4,
}


@dataclass
class Ground:
    """The fleet, and the disk of each of its nodes by the node's name."""

    fleet: Fleet
    disks: dict[str, Disk] = field(default_factory=dict)


def registry(lab: Lab) -> Registry:
    """Three wizards without anything but their daemons."""
    wizards: Registry = {
        name: {"host": content.host_of(lab[node])} for name, node in content.WIZARDS.items()
    }
    wizards["ezra"]["role"] = "orchestrator"
    return {
        "fleet": "bus", "deploy": {**content.LIMITS}, "settings": {**SETTINGS}, "wizards": wizards,
    }  # fmt: skip


@contextmanager
def founded(name: str) -> Iterator[Ground]:
    """A lab of this name with its fleet, up and well; taken away in the end."""
    with Lab(DEFAULT_SUITES, name) as lab, GitServer(lab) as git:
        disks = insert(lab.nodes)
        fleet = Fleet(lab, git)
        fleet.init(registry(lab), {})
        fleet.found()
        yield Ground(fleet, disks)
