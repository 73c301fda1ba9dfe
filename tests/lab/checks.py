"""What must hold on every node when a deploy is over, and what must be as it was before."""

from __future__ import annotations

from collections.abc import Mapping

from . import content
from .fleet import Deployed, Fleet
from .look import Look

Looks = Mapping[str, Look]
WELL = ("pass", "warn")


def daemons(fleet: Fleet, looks: Looks) -> dict[str, int]:
    """Wizard → process id of its daemon."""
    return {
        name: looks[node.name].unit(content.daemon_of(name)).pid
        for name, node in fleet.nodes.items()
    }


def agents(fleet: Fleet, looks: Looks) -> dict[str, int]:
    """Wizard → process id of its own agent."""
    return {
        name: looks[node.name].unit(content.unit_of(name)).pid for name, node in fleet.nodes.items()
    }


def releases(looks: Looks) -> dict[str, str | None]:
    """Node → the release in force."""
    return {name: seen.release for name, seen in looks.items()}


def placed(looks: Looks) -> dict[str, dict[str, object]]:
    """Node → what lies at every place, the unit files too."""
    return {name: dict(seen.files) for name, seen in looks.items()}


def is_well(fleet: Fleet) -> dict[str, Look]:
    """Every wizard runs what its node's release says, and nothing of a run is left over.

    Returns what was seen.
    """
    looks = fleet.looks()
    assert sorted(looks) == sorted(node.name for node in fleet.machines)
    for name, seen in looks.items():
        assert not seen.leftovers, f"left over on {name}: {seen.leftovers}"
        assert seen.release in seen.releases, f"{name}: {seen.release} of {seen.releases}"
        assert seen.state in ("confirmed", "reverted"), f"{name}: {seen.journal}"
        failed = {unit: state for unit, state in seen.units.items() if state.active == "failed"}
        assert not failed, f"failed on {name}: {failed}"
        stale = [unit for unit, state in seen.units.items() if state.stale]
        assert not stale, f"changed on {name} and not reread: {stale}"
    for wizard, node in fleet.nodes.items():
        seen = looks[node.name]
        for unit in (content.daemon_of(wizard), content.unit_of(wizard)):
            assert seen.unit(unit).active == "active", f"{unit} on {node.name}: {seen.unit(unit)}"
        health = fleet.health(wizard)
        assert health["status"] in WELL, health
        assert health["serviceId"] == wizard, health
        assert health["installed"] == seen.release, health
        for place, mode in content.places_of(wizard).items():
            lies = seen.files[place]
            assert lies is not None, f"{place} on {node.name} is not there"
            assert (lies["owner"], lies["mode"]) == ("root", mode), f"{place}: {lies}"
    return looks


def is_unchanged(fleet: Fleet, before: Looks) -> dict[str, Look]:
    """Releases, files and processes are the same ones: nothing was touched."""
    after = is_well(fleet)
    assert releases(after) == releases(before)
    assert placed(after) == placed(before)
    assert daemons(fleet, after) == daemons(fleet, before)
    assert agents(fleet, after) == agents(fleet, before)
    return after


def is_back(fleet: Fleet, before: Looks, record: Deployed) -> dict[str, Look]:
    """The deploy says `rolled_back`, and every node is what it was, with everything running."""
    assert record.state == "rolled_back", record
    after = is_well(fleet)
    assert releases(after) == releases(before), record
    assert placed(after) == placed(before), record
    return after


def is_refused(fleet: Fleet, before: Looks, record: Deployed) -> dict[str, Look]:
    """The deploy says `failed`, and nothing at all was touched."""
    assert record.state == "failed", record
    assert "no node was touched" in record.reason, record
    return is_unchanged(fleet, before)
