"""Thirty machines: one deploy of everything. `make lab-thirty`, not part of `make lab`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fleet_agent.setup.names import wizard_names

from . import content, wheels
from .content import Registry
from .fixtures import fleets, timings
from .fleet import Fleet
from .gitserver import GitServer
from .lab import NAME, Lab

COUNT = 30


def registry(lab: Lab) -> Registry:
    """Thirty wizards, one a machine, each with an agent."""
    names = wizard_names(COUNT)
    wizards = {
        name: content.entry(name, node.address) for name, node in zip(names, lab.nodes, strict=True)
    }
    wizards[names[0]]["role"] = "orchestrator"
    return {"fleet": "thirty", "deploy": {"settle_seconds": 1}, "wizards": wizards}


def files() -> dict[str, bytes]:
    """The operator's files, with a soul for each."""
    souls = {f"souls/{name}.md": f"# {name}\n".encode() for name in wizard_names(COUNT)}
    return {**content.files(), **souls}


@pytest.fixture(scope="module")
def thirty() -> Iterator[Fleet]:
    """Thirty machines, bootstrapped."""
    suites = [("debian12", "debian13")[index % 2] for index in range(COUNT)]
    with Lab(suites, name=f"{NAME[:5]}xxx") as lab, GitServer(lab) as git:
        fleet = Fleet(lab, git, timings)
        fleets.append(fleet)
        fleet.init(registry(lab), files())
        fleet.found()
        yield fleet
        fleets.remove(fleet)


@pytest.mark.timeout(1800)
def test_thirty_nodes_are_deployed_put_back_and_deployed_again(thirty: Fleet) -> None:
    def edit(registry: Registry) -> None:
        for entry in registry["wizards"].values():
            entry["model"] = "lab/thirty-7b"

    looked = ("n1", "n2", "n17", "n30")
    record = thirty.push(wheels.another_version("thirty"), edit, label="thirty nodes, all changed")
    assert record.state == "verified", record
    before = {name: thirty.look(name).release for name in looked}
    nothing = thirty.push({"README.md": b"Nothing.\n"}, label="thirty nodes, nothing changed")
    assert nothing.state == "verified" and "nothing to change" in nothing.reason, nothing
    broken = thirty.push(wheels.daemon_that_does_not_start(), label="thirty nodes, broken")
    assert broken.state == "rolled_back", broken
    assert len(broken.result["put_back"]) == COUNT
    assert {name: thirty.look(name).release for name in looked} == before
    for name in looked:
        assert not thirty.look(name).leftovers
    again = thirty.push(wheels.another_version("again"), label="thirty nodes, changed again")
    assert again.state == "verified", again
    print("\n".join(f"{seconds:7.2f}  {label}" for label, seconds in thirty.timings))
