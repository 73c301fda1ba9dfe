"""Machines and cables that fail before and during a deploy; nobody helps but the product itself."""

from __future__ import annotations

import os

import pytest

from . import content, wheels
from .checks import is_back, is_refused, is_well, placed, releases
from .content import Registry
from .fleet import Fleet, Pushed, until
from .node import Node

CONFIRM_S = 30
SETTLE_S = 6


def slow_and_short(registry: Registry) -> None:
    """An edit that leaves time for a fault after the switch, and little patience to the nodes."""
    registry["deploy"] |= {"settle_seconds": SETTLE_S, "confirm_seconds": CONFIRM_S}
    for entry in registry["wizards"].values():
        entry["model"] = "lab/in-between-3b"


def link(node: Node) -> str:
    """Where `current` of a node points to, seen without the node's help."""
    return os.readlink(node.root / "opt/fleet-agent/current")


def push_and_wait_for_switch(fleet: Fleet, node: Node) -> Pushed:
    """Push new code with another config, and return when `node` has switched to it."""
    before = link(node)
    pushed = fleet.start(wheels.another_version("in-between"), slow_and_short)
    until(lambda: link(node) != before, f"switch of {node.name}", 60)
    return pushed


def in_force(fleet: Fleet) -> dict[str, str]:
    """Node → release, of all nodes, by their links."""
    return {node.name: link(node).rpartition("/")[2] for node in fleet.lab.nodes}


def test_one_node_off_fails_before_anything_is_touched(fleet: Fleet) -> None:
    before = fleet.looks()
    node = fleet.lab["n3"]
    node.sigkill()
    try:
        record = fleet.push(wheels.another_version("off"), label="one node off")
    finally:
        node.boot()
    is_refused_after_boot(fleet, before, record, node)
    assert record.cause["phase"] == "preflight", record
    assert record.cause["host"] == content.host_of(node)
    assert "cannot be reached" in record.cause["what"]
    assert fleet.push(label="the next push, all nodes on").state == "verified"


def is_refused_after_boot(fleet: Fleet, before: object, record: object, node: Node) -> None:
    """As `is_refused`, but the processes of the node that was off are new ones."""
    assert record.state == "failed", record  # type: ignore[attr-defined]
    assert "no node was touched" in record.reason, record  # type: ignore[attr-defined]
    after = is_well(fleet)
    assert releases(after) == releases(before)  # type: ignore[arg-type]
    assert placed(after) == placed(before)  # type: ignore[arg-type]


def test_a_cable_cut_after_the_switch_puts_that_node_back_by_itself(fleet: Fleet) -> None:
    before, node = fleet.looks(), fleet.lab["n3"]
    pushed = push_and_wait_for_switch(fleet, node)
    node.cable.cut()
    record = fleet.ended(pushed, "cable of one node cut after its switch")
    assert record.state == "failed", record
    assert record.result["unconfirmed"] == [content.host_of(node)], record
    assert content.host_of(node) in record.reason
    for other in ("n1", "n2"):
        assert link(fleet.lab[other]).endswith(str(before[other].release))
    # Nobody can reach it: its own timer does it.
    until(lambda: fleet.look(node).state == "reverted", "the node's own way back", CONFIRM_S + 45)
    assert fleet.look(node).release == before["n3"].release
    node.cable.restore()
    after = is_well(fleet)
    assert releases(after) == releases(before)
    assert placed(after) == placed(before)
    assert fleet.agent_says("allegro")["model"] != "lab/in-between-3b"
    again = fleet.push(wheels.another_version("after-the-cut"), label="the next push")
    assert again.state == "verified", again
    assert all(new != releases(before)[name] for name, new in in_force(fleet).items())


def test_a_node_that_hears_and_cannot_answer_is_put_back(fleet: Fleet) -> None:
    before, node = fleet.looks(), fleet.lab["n2"]
    pushed = push_and_wait_for_switch(fleet, node)
    node.cable.drop("out")
    record = fleet.ended(pushed, "answers of one node lost after its switch")
    assert record.state == "failed", record
    assert record.result["unconfirmed"] == [content.host_of(node)]
    until(lambda: fleet.look(node).state == "reverted", "the node's own way back", CONFIRM_S + 45)
    node.cable.restore()
    after = is_well(fleet)
    assert releases(after) == releases(before)
    assert placed(after) == placed(before)


def test_a_node_that_loses_power_after_the_switch_is_back_when_it_is_up(fleet: Fleet) -> None:
    before, node = fleet.looks(), fleet.lab["n2"]
    pushed = push_and_wait_for_switch(fleet, node)
    node.sigkill()
    node.boot()
    seen = fleet.look(node)
    assert seen.state == "reverted", seen.journal
    assert seen.release == before["n2"].release
    recovered = since_boot(node, "fleet-recover.service", "ExecMainExitTimestampMonotonic")
    started = since_boot(node, content.daemon_of("bezalel"), "ExecMainStartTimestampMonotonic")
    assert 0 < recovered <= started
    record = fleet.ended(pushed, "power of one node lost after its switch")
    is_back(fleet, before, record)
    again = fleet.push(wheels.another_version("after-the-power-cut"), label="the next push")
    assert again.state == "verified", again


def since_boot(node: Node, unit: str, what: str) -> int:
    """A time stamp of a unit in microseconds since boot."""
    return int(node.run(["systemctl", "show", "-P", what, unit]).stdout or 0)


@pytest.mark.parametrize("late_s", [0, CONFIRM_S + 5], ids=["soon up again", "up when all is late"])
def test_the_orchestrator_loses_power_in_mid_deploy(fleet: Fleet, late_s: float) -> None:
    before, node = fleet.looks(), fleet.orchestrator
    pushed = push_and_wait_for_switch(fleet, fleet.lab["n2"])
    node.sigkill()
    if late_s:
        until(
            lambda: all(fleet.look(name).state == "reverted" for name in ("n2", "n3")),
            "the nodes' own way back",
            late_s + 60,
        )
    node.boot()
    record = fleet.ended(pushed, f"power of the orchestrator lost ({late_s} s)")
    is_back_or_was(fleet, before, record)
    assert "mid-deploy" in record.reason, record
    again = fleet.push(wheels.another_version("after-it"), label="the next push")
    assert again.state == "verified", again


def is_back_or_was(fleet: Fleet, before: object, record: object) -> None:
    """Put back by the orchestrator; or nothing was left for it to put back."""
    is_back(fleet, before, record)  # type: ignore[arg-type]


def test_ssh_connections_that_break_in_mid_phase_are_made_again_and_it_is_said(
    fleet: Fleet,
) -> None:
    node = fleet.lab["n2"]
    pushed = push_and_wait_for_switch(fleet, node)
    until(lambda: running_phase(node, "verify"), "phase verify", 60)
    fleet.orchestrator.inside(["pkill", "-KILL", "-u", "fleet-deploy", "-f", r"ssh: .*\[mux\]"])
    record = fleet.ended(pushed, "ssh connections broken in phase verify")
    assert record.state == "verified", record
    is_well(fleet)
    host = content.host_of(node)
    notes = [note for note in record.result["runs"]["forward"]["notes"] if note.startswith(host)]
    assert any("the ssh connection broke in verify" in note for note in notes), record
    log = fleet.orchestrator.journal("fleet-deploy.service")
    assert f"deploy {record.id}: {host}: the ssh connection broke in verify" in log
    shown = fleet.on("deploys", "show", str(record.id)).stdout
    assert f"{host}: the ssh connection broke in verify" in shown


def running_phase(node: Node, phase: str) -> bool:
    """Whether a phase is at work on a node."""
    argv = ["systemctl", "list-units", "--plain", "--no-legend", f"fleet-phase-*-{phase}.service"]
    return f"-{phase}.service" in node.inside(argv).stdout


def test_a_reboot_of_every_node_changes_nothing(fleet: Fleet) -> None:
    before = fleet.looks()
    for node in fleet.lab.nodes:
        node.reboot()
    until(lambda: all(well(fleet, wizard) for wizard in fleet.nodes), "the daemons", 30)
    after = is_well(fleet)
    assert releases(after) == releases(before)
    for name, seen in after.items():
        assert seen.journal == before[name].journal
    record = fleet.push(
        {"README.md": b"After the reboot.\n"}, label="nothing changed, all rebooted"
    )
    assert record.state == "verified" and "nothing to change" in record.reason, record


def well(fleet: Fleet, wizard: str) -> bool:
    """Whether a daemon answers that it is well."""
    try:
        return bool(fleet.health(wizard)["status"] == "pass")
    except Exception:  # noqa: BLE001 (any reason: it is asked again)
        return False


def test_a_second_push_in_mid_deploy_waits_and_is_deployed(fleet: Fleet) -> None:
    first = fleet.start(wheels.another_version("first"))
    number = fleet.number(first)
    second = fleet.start(wheels.another_version("second"))
    assert fleet.deploy(number).state in ("verified", "superseded")
    record = fleet.ended(second, "a push while another deploy runs")
    assert record.state == "verified", record
    is_well(fleet)


def test_a_full_disk_is_refused_before_anything_is_touched(fleet: Fleet) -> None:
    before = fleet.looks()

    def edit(registry: Registry) -> None:
        registry["deploy"]["disk_free_mib"] = 900_000

    record = fleet.push(edit=edit, label="no disk left")
    is_refused(fleet, before, record)
    assert "MiB" in record.reason


def test_a_node_whose_sudo_asks_dns_is_refused_with_the_mend(fleet: Fleet) -> None:
    before, node = fleet.looks(), fleet.lab["n2"]
    hosts = node.read("/etc/hosts")
    others = [line for line in hosts.splitlines() if node.name not in line.split()]
    node.put("/etc/hosts", "\n".join(others) + "\n")
    try:
        record = fleet.push(wheels.another_version("slow-sudo"), label="sudo that asks DNS")
    finally:
        node.put("/etc/hosts", hosts)
    is_refused(fleet, before, record)
    assert record.cause["host"] == content.host_of(node), record
    assert "/etc/hosts" in record.cause["mend"], record.cause
