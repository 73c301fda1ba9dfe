"""What fleet-deploy hands to the pipeline for one deploy, and what it wants back. Values only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fleet_agent.deploy.entry import QueueEntry
from fleet_agent.deploy.paths import DeployPaths
from fleet_agent.deploy.rules import Rules
from fleet_agent.deploy.verdict import Outcome


@dataclass(frozen=True, slots=True)
class Work:
    """One deploy, peeled and checked out. ``entry.kind`` says whether it is a dry run.

    ``directory`` is runs/N, ``tree`` the read-only checkout in it. ``tell`` takes each event; those
    without ``mode`` are kept in runs/N/notes.jsonl (the conductor keeps its own in events.jsonl).
    """

    entry: QueueEntry
    paths: DeployPaths
    rules: Rules
    directory: str
    tree: str
    tell: Callable[[Mapping[str, Any]], None]


# Runs a deploy (or a dry run) to its outcome. A FleetError is a refusal before a node was touched;
# if events show that one may be, the way back is driven by ``Recover``.
Execute = Callable[[Work], Outcome]
# Drives the way back of a deploy that was ended in mid-run (crash, SIGKILL, reboot). None: it was
# ended before anything began on a node, so there is nothing to put back.
Recover = Callable[[Work], Outcome | None]
