"""`fleet-agent status`: one look at the fleet, by people and by programs, from two places."""

from __future__ import annotations

import json

from . import content
from .fleet import Fleet


def rows(told: str) -> dict[str, dict[str, object]]:
    """Wizard → what the JSON says of it."""
    said = json.loads(told)
    return {row["wizard"]: row for row in said["wizards"]}


def test_status_of_a_well_fleet_from_the_laptop_and_on_the_orchestrator(fleet: Fleet) -> None:
    for done in (fleet.agent("status"), fleet.on("status")):
        for wizard, node in fleet.nodes.items():
            line = next(line for line in done.stdout.splitlines() if wizard in line)
            release = fleet.look(node).release
            assert release is not None
            assert content.host_of(node) in line and release[:7] in line, done.stdout
    for told in (fleet.agent("status", "--json").stdout, fleet.on("status", "--json").stdout):
        found = rows(told)
        assert set(found) == set(fleet.nodes)
        print(json.dumps(found, indent=1))


def test_status_says_which_wizard_is_not_well_and_why(fleet: Fleet) -> None:
    node = fleet.lab["n3"]
    units = ["fleet-agent@allegro.socket", content.daemon_of("allegro")]
    node.run(["systemctl", "stop", *units])
    try:
        for done in (fleet.agent("status", check=False), fleet.on("status", check=False)):
            assert done.returncode == 10, done.stdout + done.stderr
            line = next(line for line in done.stdout.splitlines() if "allegro" in line)
            assert "refused" in line or "no answer" in line, done.stdout
    finally:
        node.run(["systemctl", "start", *units])


def test_status_of_a_fleet_with_one_node_off(fleet: Fleet) -> None:
    node = fleet.lab["n2"]
    node.sigkill()
    try:
        done = fleet.agent("status", check=False)
        assert done.returncode == 10, done.stdout + done.stderr
        told = rows(fleet.agent("status", "--json", check=False).stdout)
        assert set(told) == set(fleet.nodes)
    finally:
        node.boot()


def test_status_that_could_not_look_says_so(fleet: Fleet) -> None:
    for node in fleet.lab.nodes:
        node.cable.cut()
    try:
        done = fleet.agent("status", check=False)
    finally:
        for node in fleet.lab.nodes:
            node.cable.restore()
    assert done.returncode == 11, done.stdout + done.stderr


def test_a_member_of_the_group_may_ask_on_the_orchestrator_and_others_not(fleet: Fleet) -> None:
    node = fleet.orchestrator
    for user in ("member", "stranger"):
        node.run(["useradd", "--create-home", user])
    node.run(["usermod", "--append", "--groups", "fleet-agent", "member"])
    asked = ["runuser", "-u", "member", "--", "fleet-agent", "status"]
    assert node.run(asked, check=False).returncode == 0
    refused = node.run(["runuser", "-u", "stranger", "--", "fleet-agent", "deploys"], check=False)
    assert refused.returncode not in (0, 1), refused
    assert "group" in refused.stderr
