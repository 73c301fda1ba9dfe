"""SIGKILL at every named step on a node, and in every phase on the orchestrator: back by itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet_agent.node import steps
from fleet_agent.wire import Phase

from . import cgroups, content, wheels
from .checks import Looks, is_back, is_well, placed, releases
from .content import Registry
from .fleet import Deployed, Fleet, Pushed, until
from .node import Node

MARK = "/etc/fleet-agent/testing"
SERVICE = "fleet-deploy.service"
CONFIRM_S = 10


def everything(name: str) -> content.Edit:
    """An edit after which files, settings and agents have to change on every node."""

    def edit(registry: Registry) -> None:
        registry["deploy"]["confirm_seconds"] = CONFIRM_S
        for entry in registry["wizards"].values():
            entry["model"] = f"lab/killed-{name}"
            entry["settings"] = {"http_idle_seconds": 61}

    return edit


def kill_at(node: Node, step: str) -> None:
    """Let the next two phases that come to `step` on a node die there: Ansible tries each twice."""
    node.put(MARK, f"{step}\n{step}\n")


def kills_at(node: Node) -> int:
    """How many phases died of the two that were to; the others come to the step in peace."""
    left = node.read(MARK).split()
    node.run(["rm", MARK])
    return 2 - len(left)


@pytest.mark.timeout(1800)
def test_a_phase_killed_at_each_step_of_a_node_is_put_back(fleet: Fleet) -> None:
    node, hit = fleet.lab["n3"], {}
    for step in steps.FORWARD:
        before = fleet.looks()
        kill_at(node, step)
        record = fleet.push(wheels.another_version(step), everything(step))
        hit[step] = kills_at(node)
        print(f"killed {hit[step]} times at {step}: {record.state} after {record.from_push_s} s")
        if record.state == "verified":
            # The second try did not come to the step again, and brought the phase to its end.
            assert hit[step] < 2, record
            is_well(fleet)
            continue
        assert record.cause["host"] == content.host_of(node), record
        is_over(fleet, before, record)
    print(f"steps hit on the node, forward: {', '.join(hit)}")
    assert all(hit.values()), f"not hit: {[step for step, times in hit.items() if not times]}"


@pytest.mark.timeout(1800)
def test_a_way_back_killed_at_each_step_of_a_node_is_finished(fleet: Fleet) -> None:
    node, hit = fleet.lab["n3"], {}
    for step in steps.BACK:
        before = fleet.looks()
        kill_at(node, step)
        record = fleet.push(wheels.daemon_that_does_not_start(), everything(step))
        hit[step] = kills_at(node)
        print(f"killed {hit[step]} times at {step}: {record.state} after {record.from_push_s} s")
        if record.state == "failed":
            assert record.result["unconfirmed"] == [content.host_of(node)], record
            until(lambda: fleet.look(node).state == "reverted", "its own way back", CONFIRM_S + 60)
            after = is_well(fleet)
            assert (releases(after), placed(after)) == (releases(before), placed(before))
        else:
            is_back(fleet, before, record)
    print(f"steps hit on the node, back: {', '.join(hit)}")
    assert all(hit.values()), f"not hit: {[step for step, times in hit.items() if not times]}"


def is_over(fleet: Fleet, before: Looks, record: Deployed) -> None:
    """Put back; or failed, where nothing had been touched yet."""
    if record.state == "rolled_back":
        is_back(fleet, before, record)
        return
    assert record.state == "failed", record
    assert "no node was touched" in record.reason, record
    # Nobody waits for a phase whose caller was killed: it reads on to its own end.
    until(lambda: not any(seen.leftovers for seen in fleet.looks().values()), "the phase's end", 60)
    after = is_well(fleet)
    assert (releases(after), placed(after)) == (releases(before), placed(before))


def service_pids(fleet: Fleet) -> dict[int, str]:
    """The processes in fleet-deploy's cgroup: process id on this machine → command line."""
    found = {}
    for group in cgroups.of(fleet.orchestrator.full_name):
        for service in group.rglob(SERVICE):
            for pid in cgroups.pids(service) - {0}:
                try:
                    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                found[pid] = b" ".join(words).decode(errors="replace")
    return found


def kill_ansible(fleet: Fleet) -> int:
    """SIGKILL to ansible-playbook and its workers, not to what conducts it."""
    return kill(fleet, lambda line: "ansible-playbook" in line)


def kill_service(fleet: Fleet) -> int:
    """SIGKILL to everything in fleet-deploy.service at once."""
    return kill(fleet, lambda line: True)


def kill_conductor(fleet: Fleet) -> int:
    """SIGKILL to fleet-deploy alone; systemd cleans up behind it."""
    return kill(fleet, lambda line: "deploy-service" in line)


def kill(fleet: Fleet, wanted: Callable[[str], bool]) -> int:
    """SIGKILL to the processes of the service whose command line is `wanted`; how many."""
    killed = 0
    for pid, line in service_pids(fleet).items():
        if wanted(line):
            try:
                os.kill(pid, signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                continue
    return killed


def wait_for_event(
    fleet: Fleet, pushed: Pushed, ready: Callable[[list[dict[str, object]]], bool]
) -> int:
    """Wait until the events of the push's deploy satisfy `ready`; the number of the deploy."""
    number = pushed.after + 1
    deadline = time.monotonic() + 60
    while not ready(fleet.events(number)):
        assert time.monotonic() < deadline, f"deploy {number} never came to that"
        time.sleep(0.005)
    return number


def in_phase(phase: Phase) -> Callable[[list[dict[str, object]]], bool]:
    """Whether the events say that `phase` was begun."""
    return lambda events: any(
        event["event"] == "phase" and event["phase"] == phase.value for event in events
    )


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("victim", [kill_ansible, kill_conductor, kill_service])
def test_the_pipeline_killed_in_each_phase_puts_the_fleet_back(
    fleet: Fleet, victim: Callable[[Fleet], int]
) -> None:
    hit = []
    for phase in Phase:
        before = fleet.looks()
        name = f"{victim.__name__}-{phase.value}".replace("_", "-")
        pushed = fleet.start(wheels.another_version(name), everything(phase.value))
        number = wait_for_event(fleet, pushed, in_phase(phase))
        killed = victim(fleet)
        record = fleet.ended(pushed)
        assert record.id == number
        assert killed, f"nothing to kill in {phase.value}: {service_pids(fleet)}"
        hit.append(phase.value)
        print(
            f"{victim.__name__} in {phase.value}: {record.state} after {record.from_push_s} s: "
            f"{record.reason}"
        )
        is_over(fleet, before, record)
        if victim is not kill_ansible:
            assert "mid-deploy" in record.reason, record
    print(f"phases hit by {victim.__name__}: {', '.join(hit)}")


def all_through(events: list[dict[str, object]]) -> bool:
    """Whether every host has ended its last phase: what is left is confirmation and commit."""
    through = [one for one in events if one["event"] == "ok" and one["phase"] == "audit"]
    return len({one["host"] for one in through}) == len(content.WIZARDS)


def test_the_pipeline_killed_at_the_commit_leaves_one_truth(fleet: Fleet) -> None:
    for delay_s in (0.0, 0.1, 0.2, 0.3, 0.5):
        before = fleet.looks()
        name = f"commit-{delay_s}"
        pushed = fleet.start(wheels.another_version(name), everything(name))
        wait_for_event(fleet, pushed, all_through)
        time.sleep(delay_s)
        kill_service(fleet)
        record = fleet.ended(pushed)
        print(f"killed {delay_s} s after the last phase: {record.state}: {record.reason}")
        if record.state == "verified":
            after = is_well(fleet)
            assert all(releases(after)[node] != releases(before)[node] for node in after)
            assert {seen.state for seen in after.values()} == {"confirmed"}
        else:
            is_back(fleet, before, record)


def test_the_way_back_killed_is_taken_up_again(fleet: Fleet) -> None:
    before = fleet.looks()
    pushed = fleet.start(wheels.daemon_that_does_not_start(), everything("back"))
    going_back = in_mode_back(Phase.DEPLOY)
    wait_for_event(fleet, pushed, going_back)
    assert kill_service(fleet)
    record = fleet.ended(pushed, "way back killed with its conductor")
    is_back(fleet, before, record)


def in_mode_back(phase: Phase) -> Callable[[list[dict[str, object]]], bool]:
    """Whether the events say that `phase` was begun on the way back."""
    return lambda events: any(
        event["event"] == "phase" and event["phase"] == phase.value and event.get("mode") == "back"
        for event in events
    )
