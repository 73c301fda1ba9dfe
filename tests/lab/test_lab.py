"""The lab itself: what later tests take for granted about its machines, wires and Git server."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .gitserver import GitServer, make_key
from .lab import Lab, place_of
from .node import Node
from .shell import LabError, wait_until
from .sweep import leftovers

ROOT = Path(__file__).parents[2]
UNIT = "lab-same-name.service"
UNIT_TEXT = "[Service]\nExecStart=/usr/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
# Answers 202 to everything, as the hook of an orchestrator does.
RECEIVER = """
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(202); self.send_header("Content-Length", "0"); self.end_headers()
class Server(http.server.HTTPServer):
    def server_bind(self):
        self.socket.bind(self.server_address); self.server_name, self.server_port = "n", 9876
Server(("", 9876), Answer).serve_forever()
"""
SECRET = "lab-secret"


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


@pytest.fixture
def hooked(lab: Lab, git: GitServer, tmp_path: Path) -> Iterator[Path]:
    """A clone of a repository whose webhook goes to n1, with one commit on main pushed."""
    node = lab["n1"]
    node.put("/run/receiver.py", RECEIVER)
    node.run(["systemd-run", "--quiet", "--unit=receiver", "python3", "/run/receiver.py"])
    wait_until(
        lambda: ":9876 " in node.inside(["ss", "-Hltn"]).stdout, timeout_s=10, what="receiver"
    )
    repository = git.create("hooked")
    clone = tmp_path / "hooked"
    git.git("clone", "--quiet", repository.url, str(clone))
    (clone / "fleet.yaml").write_text("wizards: {}\n")
    git.git("add", ".", cwd=clone)
    git.git("commit", "--quiet", "-m", "Add <registry>", cwd=clone)
    git.git("push", "--quiet", "origin", "main", cwd=clone)
    repository.webhook(f"http://{node.address}:9876/", SECRET)
    yield clone
    node.run(["systemctl", "stop", "receiver"])


def test_tag_pushes_arrive_as_from_gitea(hooked: Path, git: GitServer) -> None:
    def pushed(*arguments: str, more: int) -> list[dict[str, Any]]:
        before = len(git.deliveries())
        git.git("push", "--quiet", "origin", *arguments, cwd=hooked)
        return git.wait_deliveries(before + more)[before:]

    commit = git.git("rev-parse", "HEAD", cwd=hooked).stdout.strip()
    git.git("tag", "-a", "-m", "go", "PROD", cwd=hooked)
    tag = git.git("rev-parse", "PROD", cwd=hooked).stdout.strip()
    new = pushed("PROD", more=3)
    assert [(one["event"], one["status"]) for one in new] == [
        ("push", 202), ("create", 202), ("create", 202),
    ]  # fmt: skip
    assert new[1]["delivery"] == new[2]["delivery"] != new[0]["delivery"]
    push, create = (json.loads(one["body"]) for one in new[:2])
    assert (push["ref"], push["before"], push["after"]) == ("refs/tags/PROD", "0" * 40, tag)
    assert push["head_commit"]["id"] == commit
    assert (create["ref"], create["ref_type"], create["sha"]) == ("PROD", "tag", tag)
    headers = dict(new[0]["headers"])
    digest = hmac.new(SECRET.encode(), new[0]["body"].encode(), hashlib.sha256).hexdigest()
    assert headers["X-Gitea-Signature"] == headers["X-Gogs-Signature"] == digest
    assert headers["X-Hub-Signature-256"] == f"sha256={digest}"

    git.git("commit", "--quiet", "--allow-empty", "-m", "next", cwd=hooked)
    git.git("tag", "-f", "PROD", cwd=hooked)
    moved = pushed("--force", "PROD", more=3)
    assert [one["event"] for one in moved] == ["push", "create", "create"]
    assert json.loads(moved[0]["body"])["before"] == "0" * 40
    branch = pushed("main", more=1)
    assert len(json.loads(branch[0]["body"])["commits"]) == 1
    gone = pushed(":PROD", more=3)
    assert [one["event"] for one in gone] == ["push", "delete", "delete"]
    assert json.loads(gone[0]["body"])["after"] == "0" * 40


def test_deploy_key_reads_one_repository(lab: Lab, git: GitServer) -> None:
    node, mine, other = lab["n2"], git.create("mine"), git.create("other")
    public = make_key(lab.place / "git" / "deploy_key", "deploy")
    git.add_key(public, "read", mine)
    node.put("/root/deploy_key", (lab.place / "git" / "deploy_key").read_bytes(), mode="0600")
    ssh = "ssh -i /root/deploy_key -o StrictHostKeyChecking=accept-new -o BatchMode=yes"

    def asked(*git_arguments: str) -> subprocess.CompletedProcess[str]:
        argv = ["env", f"GIT_SSH_COMMAND={ssh}", "git", *git_arguments]
        return node.run(argv, check=False)

    assert asked("ls-remote", mine.url).returncode == 0
    assert "for timmy/mine alone" in asked("ls-remote", other.url).stderr
    node.run(["git", "init", "--quiet", "/root/work"])
    who = ["-c", "user.name=n2", "-c", "user.email=n2@example.invalid"]
    node.run(["git", "-C", "/root/work", *who, "commit", "--quiet", "--allow-empty", "-m", "x"])
    assert "may not push" in asked("-C", "/root/work", "push", mine.url, "HEAD:x").stderr
    plain = node.run([*ssh.split(), "git@10.77.0.1", "id"], check=False)
    assert "nothing else" in plain.stderr


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
