"""The oldest ansible-core that is supported, Debian 12's, conducts as the newest does.

The newest ones conduct all other tests: that of Debian 12's Python, and in test_bootstrap that of
Debian 13's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import content, wheels
from .checks import agents, is_back, is_unchanged, is_well
from .content import Registry
from .fleet import Fleet

OLDEST = "2.14"


def version_of(fleet: Fleet) -> str:
    """What ansible-playbook on the orchestrator says that it is."""
    argv = ["/opt/fleet-agent/venv/bin/ansible-playbook", "--version"]
    return fleet.orchestrator.run(argv).stdout.partition("\n")[0]


@pytest.fixture
def old(fleet: Fleet) -> Iterator[Fleet]:
    """The fleet, conducted by the oldest ansible-core until the test is over."""
    fleet.bootstrap("--no-deploy", ansible_core=OLDEST)
    assert f"core {OLDEST}." in version_of(fleet)
    yield fleet
    fleet.bootstrap("--no-deploy")
    assert "core 2.19." in version_of(fleet)


def test_the_oldest_ansible_core_deploys_checks_and_puts_back(old: Fleet) -> None:
    def edit(registry: Registry) -> None:
        registry["wizards"]["bezalel"]["model"] = "lab/old-2b"

    before = old.looks()
    record = old.push(wheels.another_version("old"), edit, label=f"ansible-core {OLDEST}")
    assert record.state == "verified", record
    after = is_well(old)
    assert old.agent_says("bezalel")["model"] == "lab/old-2b"
    assert agents(old, after)["allegro"] == agents(old, before)["allegro"]

    nothing = old.push({"README.md": b"Nothing new.\n"})
    assert "nothing to change" in nothing.reason, nothing

    old.checkout.commit({"souls/ezra.md": b"# ezra\n\nOlder.\n"})
    old.checkout.push()
    said = old.on("deploy", "--check", "--ref", "main").stdout
    assert "+Older.\n" in said, said
    is_unchanged(old, after)

    broken = old.push(wheels.daemon_that_does_not_start(), label=f"broken, ansible-core {OLDEST}")
    is_back(old, after, broken)
    assert any("broken on purpose" in line for line in broken.cause["unit_log"]), broken

    off = old.lab["n3"]
    off.sigkill()
    try:
        refused = old.push(wheels.another_version("old-off"))
    finally:
        off.boot()
    assert refused.state == "failed", refused
    assert refused.cause["host"] == content.host_of(off), refused
    assert "cannot be reached" in refused.cause["what"], refused


def test_ansible_by_hand_reaches_every_node_and_deploys_by_fleet_deploy(fleet: Fleet) -> None:
    said: dict[str, str] = json.loads(fleet.agent("ansible-env", "--json").stdout)
    ansible = Path(sys.executable).with_name("ansible")
    pinged = fleet.operator([str(ansible), "nodes", "-m", "ansible.builtin.ping"], said)
    for node in fleet.lab.nodes:
        assert f"{content.host_of(node)} | SUCCESS" in pinged.stdout, pinged.stdout
    fleet.checkout.commit({"souls/ezra.md": b"# ezra\n\nBy hand.\n"})
    fleet.checkout.push()
    newest = fleet.newest()
    done = fleet.operator([str(ansible.with_name("ansible-playbook")), "site.yml"], said)
    record = fleet.deploy(fleet.number_after(newest))
    assert record.state == "verified", record
    assert f"deploy {record.id}  verified" in done.stdout, done.stdout
    fleet.checkout.was_verified()
