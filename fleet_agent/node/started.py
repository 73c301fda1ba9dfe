"""Writes down with what each socket and each wizard's own process was started.

So that a later run can tell whether what runs is what is declared. Not for daemons: they tell it.
"""

from __future__ import annotations

from collections.abc import Iterable

from fleet_agent.node import present
from fleet_agent.node.act import Act
from fleet_agent.node.desired import RUNNER_SOCKET, RUNTIME, SOCKET, Wish, wishes
from fleet_agent.node.present import Present, Record
from fleet_agent.release.manifest import Manifest


def remember(act: Act, wanted: Manifest, seen: Present, later: Iterable[Wish] = ()) -> None:
    """Write it down for all units of ``wanted`` but those that are started ``later``."""
    kept = dict(seen.records)
    kinds = (SOCKET, RUNNER_SOCKET, RUNTIME)
    own = [wish for wish in wishes(wanted) if wish.kind in kinds and wish not in later]
    for ref, state in act.units.show([wish.ref for wish in own]).items():
        digest = next(wish.digest for wish in own if wish.ref == ref)
        kept[ref.key] = Record(state.invocation, digest)
    present.write_records(act.layout, kept)
