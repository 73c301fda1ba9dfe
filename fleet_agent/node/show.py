"""What this node says of its deploys, for status and for people. Reads only."""

from __future__ import annotations

from typing import Any

from fleet_agent.node import journal as journals
from fleet_agent.node import lock, present, prune, saved
from fleet_agent.node.layout import Layout


def run(layout: Layout) -> dict[str, Any]:
    """Release in force, verified releases, journal and last holder of the lock."""
    release, _ = present.current(layout)
    journal = journals.read(layout)
    holder = lock.last_holder(layout)
    return {
        "release": release,
        "releases": list(saved.releases(layout)),
        "verified": prune.verified(layout),
        "journal": None if journal is None else journal._asdict(),
        "last_holder": None if holder is None else holder._asdict(),
    }
