"""A wizard with handlers on a node that is a folder: its runner comes, is renewed, goes back."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.runner.protocol import Order, Outcome, write_order
from tests.node_world import WIZARD, Run, World, a_node
from tests.running_runner import heard

DAEMON, RUNNER = f"fleet-agent@{WIZARD}.service", f"fleet-exec@{WIZARD}.service"
SOCKET = f"fleet-exec@{WIZARD}.socket"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_node(tmp_path) as found:
        yield found


def handling(answer: str) -> str:
    return f"handlers: {{request: {{exec: [{sys.executable}, -c, \"print('{answer}')\"]}}}}"


def deployed(world: World, deploy: int, entry: str, more: str = "") -> Run:
    run = Run(world, deploy, world.release("model: a\n", entry=entry, more=more))
    result = run.go()
    assert result["ok"], json.dumps(result, indent=1)
    return run


def ask(world: World) -> Outcome:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(60)
        line.connect(str(world.root / f"run/fleet-agent/{WIZARD}/exec.sock"))
        line.sendall(write_order(Order("request", "m", 0)))
        return heard(line)


def active(world: World, unit: str) -> bool:
    return "ActiveState=active" in world.systemctl("show", "--property=ActiveState", unit)


def test_the_runner_starts_when_it_is_needed_and_is_renewed_when_its_release_changes(
    world: World,
) -> None:
    assert deployed(world, 1, handling("one")).confirm()["ok"]
    assert active(world, SOCKET)
    assert not active(world, RUNNER)
    assert ask(world).output == b"one\n"
    assert active(world, RUNNER)
    pid = world.pid(RUNNER)
    again = deployed(world, 2, handling("one"))
    assert not again.phase("audit")["changed"]
    assert ask(world).output == b"one\n"
    assert world.pid(RUNNER) == pid
    assert deployed(world, 3, handling("two")).confirm()["ok"]
    assert ask(world).output == b"two\n"
    assert world.pid(RUNNER) != pid


def test_the_way_back_leads_to_the_handlers_of_before(world: World) -> None:
    assert deployed(world, 1, handling("one")).confirm()["ok"]
    assert ask(world).output == b"one\n"
    before = world.state()
    run = deployed(world, 2, handling("two"))
    assert ask(world).output == b"two\n"
    result = run.go("back")
    assert result["ok"], json.dumps(result, indent=1)
    assert world.state() == before
    assert ask(world).output == b"one\n"


def test_handlers_come_and_go_with_their_units(world: World) -> None:
    assert deployed(world, 1, "").confirm()["ok"]
    before = world.state()
    run = deployed(world, 2, handling("one"))
    assert ask(world).output == b"one\n"
    assert run.go("back")["ok"]
    assert world.state() == before
    assert not active(world, SOCKET)
    assert not active(world, RUNNER)
    assert deployed(world, 3, handling("one")).confirm()["ok"]
    assert ask(world).output == b"one\n"
    assert deployed(world, 4, "").confirm()["ok"]
    assert not active(world, SOCKET)
    assert not active(world, RUNNER)
    assert not list((world.root / "etc/systemd/system").glob("fleet-exec@*"))
