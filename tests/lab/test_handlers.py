"""Handlers on a real node: one answers, another does its worst, and the daemon does not care."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import content
from .content import Registry
from .fleet import Fleet, until
from .node import Node
from .shell import Completed

PLACE = f"{content.home('bezalel')}/answer"
PROGRAM = Path(__file__).parent / "attack/answer.py"
SOCKET, RUNNER = "fleet-exec@bezalel.socket", "fleet-exec@bezalel.service"
LIMITS = {
    "handler_seconds": 5, "handler_jobs": 1, "handler_pids": 16, "handler_memory_mib": 64,
    "handler_retry_first_seconds": 0.1, "inbox_attempts": 2,
}  # fmt: skip


def answering(registry: Registry) -> None:
    bezalel = registry["wizards"]["bezalel"]
    bezalel["handlers"] = {"request": {"exec": [PLACE]}}
    bezalel["settings"] = dict(LIMITS)
    bezalel["files"].append({"source": "agents/answer.py", "place": PLACE, "mode": "0755"})


def silent(registry: Registry) -> None:
    bezalel = registry["wizards"]["bezalel"]
    del bezalel["handlers"], bezalel["settings"]
    bezalel["files"] = [one for one in bezalel["files"] if one["place"] != PLACE]


def ask(fleet: Fleet, payload: str) -> Completed:
    """ezra's agent asks bezalel, over both daemons."""
    words = ["ask", "bezalel", payload, "--timeout", "60", "--json",
             "--socket", "/run/fleet-agent/ezra/agent.sock"]  # fmt: skip
    program = "/opt/fleet-agent/venv/bin/fleet-agent"
    return fleet.orchestrator.run([program, *words], check=False, timeout_s=90)


def shown(node: Node, unit: str, name: str) -> str:
    return node.run(["systemctl", "show", "-P", name, unit]).stdout.strip()


def processes_of(node: Node, account: str) -> int:
    return len(node.run(["ps", "-o", "pid=", "-u", account], check=False).stdout.split())


def test_a_handler_answers_and_its_worst_hurts_nobody(fleet: Fleet) -> None:
    node = fleet.nodes["bezalel"]
    record = fleet.push({"agents/answer.py": PROGRAM.read_text()}, answering, label="handlers come")
    assert record.state == "verified", str(record)
    assert shown(node, SOCKET, "ActiveState") == "active"
    assert shown(node, RUNNER, "ActiveState") == "inactive", "nobody has asked yet"
    assert node.run(["stat", "-c", "%U %a", "/run/fleet-agent/bezalel/exec.sock"]).stdout == (
        "fa-bezalel 600\n"
    )
    done = ask(fleet, "who")
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)["payload"]
    uid = int(node.run(["id", "-u", content.THEIR_USER]).stdout)
    assert f"{RUNNER}/job-" in said.pop("cgroup")
    assert said == {
        "uid": uid, "reads": [], "runs others": False, "is the agent": True,
        "writes the system": False,
    }  # fmt: skip
    assert shown(node, RUNNER, "Delegate") == "yes"

    daemon, runner = node.pid(content.daemon_of("bezalel")), node.pid(RUNNER)
    before = processes_of(node, content.THEIR_USER)
    for payload in ("bomb", "hog"):
        done = ask(fleet, payload)
        assert done.returncode == 4, (payload, done.stdout)
        assert "bezalel gave it up: given back 2 times" in done.stderr
        until(lambda: processes_of(node, content.THEIR_USER) == before, "what it left behind")
    assert (node.pid(content.daemon_of("bezalel")), node.pid(RUNNER)) == (daemon, runner)
    assert shown(node, RUNNER, "NRestarts") == "0"
    assert ask(fleet, "who").returncode == 0

    record = fleet.push({"agents/answer.py": None}, silent, label="handlers go")
    assert record.state == "verified", str(record)
    assert shown(node, SOCKET, "LoadState") == shown(node, RUNNER, "LoadState") == "not-found"
    assert not node.run(["pgrep", "-f", "exec-runner"], check=False).stdout
