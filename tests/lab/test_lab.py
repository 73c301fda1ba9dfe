"""The lab itself: what later tests take for granted about its machines, wires and end."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .gitserver import GitServer
from .lab import Lab, place_of
from .node import Node
from .shell import LabError, wait_until
from .sweep import leftovers

ROOT = Path(__file__).parents[2]
UNIT = "lab-same-name.service"
UNIT_TEXT = "[Service]\nExecStart=/usr/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"


def answers(lab: Lab, node: Node, family: str = "-4") -> bool:
    """Whether the node answers a ping from the operator's side within a second."""
    address = node.address if family == "-4" else node.address_v6
    ping = ["ping", family, "-c", "1", "-W", "1", address]
    return lab.operator(ping, check=False).returncode == 0


def test_three_nodes_run_two_debians_under_their_own_names(lab: Lab) -> None:
    systems, identities = [], set()
    for node in lab.nodes:
        assert node.run(["systemctl", "is-system-running"]).stdout.strip() == "running"
        assert node.run(["hostname"]).stdout.strip() == node.name
        systems.append(node.run(["sh", "-c", '. /etc/os-release; echo "$VERSION_ID"']).stdout)
        identities.add(node.read("/etc/machine-id"))
        identities.add(node.read("/etc/ssh/ssh_host_ed25519_key.pub"))
    assert [system.strip() for system in systems] == ["12", "13", "12"]
    assert len(identities) == 2 * len(lab.nodes)


def test_nodes_reach_each_other_by_both_families_and_nothing_else(lab: Lab) -> None:
    assert all(answers(lab, node, family) for node in lab.nodes for family in ("-4", "-6"))
    assert lab["n1"].run(["ping", "-c1", "-W1", lab["n2"].address]).returncode == 0
    assert lab["n1"].run(["ping", "-c1", "-W1", "192.0.2.53"], check=False).returncode != 0


def test_cut_and_restore(lab: Lab) -> None:
    node = lab["n2"]
    node.cable.cut()
    try:
        assert not answers(lab, node)
        assert answers(lab, lab["n1"])
        assert node.inside(["hostname"]).stdout.strip() == "n2"
    finally:
        node.cable.restore()
    assert answers(lab, node)


def test_one_way_drop_loses_the_answers_and_not_the_questions(lab: Lab) -> None:
    node = lab["n1"]
    node.put(
        "/run/listen.py",
        "import socket\ns = socket.socket(2, 2)\ns.bind(('', 9999))\n"
        "open('/run/heard', 'wb').write(s.recv(9))\n",
    )
    node.run(["systemd-run", "--quiet", "python3", "/run/listen.py"])
    wait_until(lambda: ":9999" in node.inside(["ss", "-Hlun"]).stdout, timeout_s=5, what="listener")
    say = f"import socket; socket.socket(2, 2).sendto(b'hello', ('{node.address}', 9999))"
    node.cable.drop("out")
    try:
        assert not answers(lab, node)
        lab.operator([sys.executable, "-c", say])
        wait_until(lambda: "hello" in heard(node), timeout_s=5, what="datagram")
    finally:
        node.cable.restore()
    assert answers(lab, node)


def heard(node: Node) -> str:
    """What the listener of the one-way test wrote."""
    return node.inside(["cat", "/run/heard"], check=False).stdout


def test_a_share_of_packets_is_dropped(lab: Lab) -> None:
    node = lab["n3"]
    node.cable.drop("in", percent=50)
    try:
        ping = ["ping", "-c", "60", "-i", "0.01", "-W", "1", node.address]
        said = lab.operator(ping, check=False).stdout
    finally:
        node.cable.restore()
    lost = float(said.split("% packet loss")[0].split()[-1])
    assert 20 < lost < 80, said


@pytest.mark.parametrize("end", [Node.sigkill, Node.shutdown], ids=["power cut", "shutdown"])
def test_what_a_node_holds_survives(lab: Lab, end: Callable[[Node], object]) -> None:
    node = lab["n1"]
    kept = {f"{place}/kept": f"{place} {time.time()}\n" for place in ("/etc", "/var", "/opt")}
    kept |= {f"{place}/kept": f"{place}\n" for place in ("/home", "/root", "/var/lib")}
    for path, text in kept.items():
        node.put(path, text)
    node.put("/run/lost", "")
    before = node.read("/proc/sys/kernel/random/boot_id"), node.read("/etc/machine-id")
    end(node)
    assert not node.up
    assert not answers(lab, node)
    node.boot()
    assert {path: node.read(path) for path in kept} == kept
    assert node.run(["test", "-e", "/run/lost"], check=False).returncode == 1
    after = node.read("/proc/sys/kernel/random/boot_id"), node.read("/etc/machine-id")
    assert after[1] == before[1]


def test_a_power_cut_says_goodbye_to_nobody(lab: Lab) -> None:
    node = lab["n3"]
    script = f"""
import socket, sys
link = socket.create_connection(("{node.address}", 22), timeout=5)
link.recv(99); print("open", flush=True); sys.stdin.readline()
link.settimeout(1)
try:
    print("heard", link.recv(99))
except TimeoutError:
    print("silence")
"""
    argv = lab.operator_argv([sys.executable, "-c", script])
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as peer:
        assert peer.stdout is not None
        assert peer.stdout.readline() == "open\n"
        node.sigkill()
        said, _ = peer.communicate("\n", timeout=10)
    assert said == "silence\n"
    node.boot()


def test_same_named_units_of_two_nodes_do_not_hurt_each_other(lab: Lab) -> None:
    for node in lab.nodes:
        node.put(f"/etc/systemd/system/{UNIT}", UNIT_TEXT)
        node.run(["systemctl", "enable", "--now", UNIT])
    first, *others = lab.nodes
    before = [node.pid(UNIT) for node in others]
    assert all(before)
    for _ in range(3):
        previous = first.pid(UNIT)
        first.run(["systemctl", "restart", UNIT])
        assert first.pid(UNIT) not in (0, previous)
    first.run(["systemctl", "stop", UNIT])
    assert first.pid(UNIT) == 0
    assert "Stopped" in first.journal(UNIT)
    assert [node.pid(UNIT) for node in others] == before
    for node in lab.nodes:
        assert node.run(["systemctl", "is-system-running"]).stdout.strip() == "running"


def test_cleanup_leaves_nothing_behind(lab: Lab) -> None:
    with Lab(["debian13"], name="labclean") as own, GitServer(own):
        own["n1"].run(["true"])
        assert leftovers("labclean", own.place)
        with pytest.raises(LabError, match="in use by process"), Lab(name="labclean"):
            pass
    assert leftovers("labclean", own.place) == []
    shutil.rmtree(own.place)
    assert lab["n1"].run(["true"]).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_killed_lab_goes_away(number: signal.Signals) -> None:
    name, place = "labkill", place_of("labkill")
    python = [sys.executable, "-m", "tests.lab", "--name", name]
    argv = [*python, "up", "--nodes", "1"]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        assert any("Ctrl-C" in line for line in up.stdout)
        up.send_signal(number)
        up.wait(30)
    if number == signal.SIGKILL:
        assert leftovers(name, place)
        subprocess.run([*python, "down"], cwd=ROOT, check=True, timeout=60)
    assert leftovers(name, place) == []
    shutil.rmtree(place)
