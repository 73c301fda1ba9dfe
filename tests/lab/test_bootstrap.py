"""From bare machines: a first deploy that fails leaves them bare, and nothing is done twice."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from . import content, wheels
from .checks import daemons, is_unchanged, is_well
from .content import Registry
from .fixtures import fleets, their_agent, timings
from .fleet import Fleet
from .gitserver import GitServer
from .lab import NAME, Lab
from .look import Look
from .node import Node
from .shell import call, wait_until

SUITES = ("debian13", "debian13", "debian12", "debian12")
SSH_PORT = 2222
OPERATOR = "op"


@pytest.fixture(scope="module")
def bare() -> Iterator[Fleet]:
    """Three machines that nobody touched; the third lets in a sudo user at port 2222.

    The orchestrator is a Debian 13 here, and a Debian 12 in all other tests. A fourth machine is
    nobody's node, only a way to the others.
    """
    with Lab(SUITES, f"{NAME[:6]}b") as lab, GitServer(lab) as git:
        their_agent(lab["n2"])
        sudo_user_at_another_port(lab["n3"])
        fleet = Fleet(lab, git, timings, outside=("n4",))
        fleets.append(fleet)
        registry = content.registry(lab)
        registry["wizards"]["allegro"]["ssh"] = {"port": SSH_PORT}
        fleet.init(registry)
        yield fleet
        fleets.remove(fleet)


def sudo_user_at_another_port(node: Node) -> None:
    """A machine that root may not log in to from outside, but a user who may sudo."""
    node.run(["useradd", "--create-home", "--shell", "/bin/bash", OPERATOR])
    node.put(f"/etc/sudoers.d/{OPERATOR}", f"{OPERATOR} ALL=(ALL) NOPASSWD: ALL\n", "0440")
    node.run(["install", "-d", "-o", OPERATOR, "-m", "0700", f"/home/{OPERATOR}/.ssh"])
    keys = f"/home/{OPERATOR}/.ssh/authorized_keys"
    node.put(keys, node.key.public + "\n", "0600")
    node.run(["chown", OPERATOR, keys])
    more = f"Port 22\nPort {SSH_PORT}\nMatch LocalPort {SSH_PORT}\n  PermitRootLogin no\n"
    node.put("/etc/ssh/sshd_config.d/other.conf", more)
    node.run(["systemctl", "restart", "ssh"])


def users(fleet: Fleet) -> list[str]:
    """How the operator says who may log in where."""
    return ["--user", f"{content.host_of(fleet.lab['n3'])}={OPERATOR}"]


def is_bare(seen: Look) -> None:
    """Nothing of ours runs or lies where a release would have put it."""
    assert seen.release is None
    assert not seen.leftovers, seen.leftovers
    ours = [path for path in seen.unit_files if "fleet-agent@" in path or "fleet-wizard@" in path]
    assert not ours
    running = [
        name
        for name, unit in seen.units.items()
        if unit.pid and not name.startswith("fleet-deploy")
    ]
    assert running in ([], [content.THEIRS]), running


def test_a_first_deploy_that_fails_leaves_bare_machines_bare(bare: Fleet) -> None:
    before = bare.looks()
    good = {path: bare.checkout.base[path] for path in ("fleet-agent.json",)}
    good |= {path: data for path, data in bare.checkout.base.items() if path.endswith(".whl")}
    bare.checkout.commit(wheels.daemon_that_does_not_start())
    done = bare.bootstrap(*users(bare), check=False)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "broken on purpose" in done.stdout + done.stderr
    after = bare.looks()
    for seen in after.values():
        is_bare(seen)
    config = f"{content.home('bezalel')}/config.json"
    assert after["n2"].files[config] == before["n2"].files[config]
    assert bare.lab["n2"].read(config) == content.THEIR_OLD_CONFIG
    assert bare.agent_says("bezalel")["model"] == "lab/of-before"
    for place in content.places_of("allegro"):
        assert after["n3"].files[place] is None, f"{place} was left"
    assert good.keys() <= bare.checkout.base.keys()


def test_the_same_command_then_makes_them_a_fleet(bare: Fleet) -> None:
    bare.checkout.commit()
    done = bare.bootstrap(*users(bare))
    assert done.returncode == 0
    is_well(bare)
    assert bare.agent_says("bezalel")["model"] == content.MODEL


def test_the_orchestrator_has_the_newest_ansible_core_for_its_python(bare: Fleet) -> None:
    said = bare.orchestrator.run(["/opt/fleet-agent/venv/bin/ansible-playbook", "--version"])
    assert "[core 2.21." in said.stdout and "version = 3.13." in said.stdout, said.stdout


def test_run_again_it_changes_nothing(bare: Fleet) -> None:
    before, newest = bare.looks(), bare.newest()
    done = bare.bootstrap(*users(bare))
    changed = [line for line in done.stdout.splitlines() if line.startswith("  changed ")]
    assert not changed, done.stdout
    is_unchanged(bare, before)
    assert bare.newest() == newest


def test_init_run_again_changes_nothing(bare: Fleet) -> None:
    head = bare.git.git("rev-parse", "HEAD", cwd=bare.checkout.path).stdout
    machines = [f"root@{content.host_of(node)}" for node in bare.machines]
    done = bare.agent("init", str(bare.checkout.path), *machines)
    assert "nothing to do" in done.stdout
    assert bare.git.git("rev-parse", "HEAD", cwd=bare.checkout.path).stdout == head
    assert not bare.git.git("status", "--porcelain", cwd=bare.checkout.path).stdout


def test_an_uncommitted_change_is_not_deployed_by_surprise(bare: Fleet) -> None:
    soul = bare.checkout.path / "souls" / "ezra.md"
    text = soul.read_text()
    soul.write_text(text + "more\n")
    try:
        done = bare.bootstrap(*users(bare), check=False)
    finally:
        soul.write_text(text)
    assert done.returncode == 2
    assert "souls/ezra.md" in done.stderr


def test_a_host_key_that_changed_is_refused(bare: Fleet) -> None:
    node = bare.lab["n2"]
    before = daemons(bare, bare.looks())
    key = "/etc/ssh/ssh_host_ed25519_key"
    old = node.read(key)
    node.run(["rm", key, f"{key}.pub"])
    node.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
    node.run(["systemctl", "restart", "ssh"])
    try:
        done = bare.bootstrap(*users(bare), check=False)
    finally:
        node.put(key, old, "0600")
        node.run(["sh", "-c", f"ssh-keygen -y -f {key} > {key}.pub"])
        node.run(["systemctl", "restart", "ssh"])
    assert done.returncode not in (0, 1), done.stdout
    assert "SHA256:" in done.stderr and "pinned" in done.stderr, done.stderr
    assert daemons(bare, bare.looks()) == before


def test_the_shown_form_holds_all_that_a_forge_asks_for(bare: Fleet) -> None:
    said = bare.bootstrap(*users(bare)).stdout
    assert f"http://{bare.orchestrator.address}:9876/" in said
    for word in ("application/json", "Create", "ALLOWED_HOST_LIST", "ssh-ed25519"):
        assert word in said, said
    # The secret was shown by the run that made it, and is not shown again.
    secret = bare.orchestrator.inside(["cat", "/etc/fleet-agent/hook/secret"]).stdout.strip()
    assert len(secret) == 64 and secret not in said


def test_a_node_behind_a_jump_host_is_reached_by_operator_and_orchestrator(bare: Fleet) -> None:
    jump = bare.lab["n4"]
    jump.run(["useradd", "--create-home", "--shell", "/bin/sh", "hop"])
    keys = "/home/hop/.ssh/authorized_keys"
    jump.run(["install", "-d", "-o", "hop", "-m", "0700", "/home/hop/.ssh"])
    jump.put(keys, jump.key.public + "\n", "0600")
    jump.run(["chown", "hop", keys])

    def edit(registry: Registry) -> None:
        registry["wizards"]["allegro"]["ssh"]["proxy_jump"] = f"hop@{jump.address}"

    with ssh_agent(bare) as bare.surroundings["SSH_AUTH_SOCK"]:
        bare.checkout.commit(edit=edit)
        refused = bare.bootstrap(*users(bare), check=False)
        assert refused.returncode not in (0, 1), refused.stdout
        # The jump host is none of ours to change: what to do there is said.
        key = re.search(r"let this key in at \S+: (ssh-ed25519 \S+ \S+)", refused.stderr)
        assert key is not None, refused.stderr
        jump.run(["sh", "-c", f"cat >> {keys}"], stdin=key[1] + "\n")
        done = bare.bootstrap(*users(bare))
    del bare.surroundings["SSH_AUTH_SOCK"]
    assert done.returncode == 0
    bare.checkout.was_verified()
    is_well(bare)
    came = jump.journal("ssh")
    assert f"Accepted publickey for hop from {bare.lab.operator_address}" in came
    assert f"Accepted publickey for hop from {bare.orchestrator.address}" in came


@contextmanager
def ssh_agent(fleet: Fleet) -> Iterator[str]:
    """An agent with the operator's key (a jump is an ssh of its own); the path of its socket."""
    path = str(fleet.home / "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as agent:
        try:
            wait_until(lambda: Path(path).exists(), timeout_s=5, what="start of ssh-agent")
            add = ["ssh-add", "-q", str(fleet.orchestrator.key.private)]
            call(add, env={"SSH_AUTH_SOCK": path})
            yield path
        finally:
            agent.terminate()
