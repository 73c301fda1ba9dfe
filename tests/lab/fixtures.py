"""The lab's fleet for pytest: bootstrapped once a session, well before and after each test."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from . import content
from .checks import is_well
from .fleet import Fleet
from .gitserver import GitServer
from .lab import Lab
from .node import Node
from .shell import LabError

fleets: list[Fleet] = []
# What was done and how many seconds it took, for the record at the end of a session.
timings: list[tuple[str, float]] = []


def their_agent(node: Node) -> None:
    """An agent that was on the machine before fleet-agent: user, files and a running unit."""
    at = f"/srv/{content.THEIR_USER}"
    node.run(["useradd", "--create-home", "--home-dir", at, content.THEIR_USER])
    script = (content.FILES / "agents" / "stand_in.py").read_text()
    node.put(f"{at}/stand_in.py", script, "0755")
    node.put(f"{at}/soul.md", "# Before fleet-agent\n")
    node.put(f"{at}/config.json", content.THEIR_OLD_CONFIG)
    node.put(f"/etc/systemd/system/{content.THEIRS}", content.THEIR_UNIT)
    node.run(["systemctl", "enable", "--now", content.THEIRS])


@pytest.fixture(scope="session")
def founded(lab: Lab, git: GitServer) -> Iterator[Fleet]:
    """A fleet-ops repository, and three machines taken from bare to running by bootstrap."""
    their_agent(lab["n2"])
    fleet = Fleet(lab, git, timings)
    fleets.append(fleet)
    fleet.init()
    began = time.monotonic()
    fleet.found()
    fleet.timings.append(("bootstrap of three bare machines", time.monotonic() - began))
    yield fleet
    fleets.remove(fleet)


@pytest.fixture
def fleet(founded: Fleet, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """The fleet, well at the start of the test; a test that passes must leave it well too."""
    mend(founded)
    yield founded
    if getattr(request.node, "lab_passed", False):
        is_well(founded)


def mend(fleet: Fleet) -> None:
    """Bring back what a failed test has taken: power, cables, the last good release."""
    for node in fleet.lab.nodes:
        node.cable.restore()
        if not node.up:
            node.boot()
    try:
        is_well(fleet)
    except (AssertionError, LabError):
        fleet.wire()
        record = fleet.push()
        assert record.state == "verified", f"the fleet can't be mended: {record}"
        is_well(fleet)
