"""From bare machines: a first deploy that fails leaves them bare, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator

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

SSH_PORT = 2222
OPERATOR = "op"


@pytest.fixture(scope="module")
def bare() -> Iterator[Fleet]:
    """Three machines that nobody touched; the third lets in a sudo user at port 2222."""
    with Lab(name=f"{NAME[:6]}b") as lab, GitServer(lab) as git:
        their_agent(lab["n2"])
        sudo_user_at_another_port(lab["n3"])
        fleet = Fleet(lab, git, timings)
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


def test_run_again_it_changes_nothing(bare: Fleet) -> None:
    before, newest = bare.looks(), bare.newest()
    done = bare.bootstrap(*users(bare))
    changed = [line for line in done.stdout.splitlines() if line.startswith("  changed ")]
    assert not changed, done.stdout
    is_unchanged(bare, before)
    assert bare.newest() == newest


def test_init_run_again_changes_nothing(bare: Fleet) -> None:
    head = bare.git.git("rev-parse", "HEAD", cwd=bare.checkout.path).stdout
    machines = [f"root@{content.host_of(node)}" for node in bare.lab.nodes]
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


def everyone_by_jump(registry: Registry) -> None:
    """An edit: the third machine is reached through the first."""
    first = registry["wizards"]["ezra"]["host"]
    registry["wizards"]["allegro"]["ssh"]["proxy_jump"] = f"root@{first}"


def test_the_shown_form_holds_all_that_a_forge_asks_for(bare: Fleet) -> None:
    said = bare.bootstrap(*users(bare)).stdout
    assert f"http://{bare.orchestrator.address}:9876/" in said
    for word in ("application/json", "Create", "ALLOWED_HOST_LIST", "ssh-ed25519"):
        assert word in said, said
    # The secret was shown by the run that made it, and is not shown again.
    secret = bare.orchestrator.inside(["cat", "/etc/fleet-agent/hook/secret"]).stdout.strip()
    assert len(secret) == 64 and secret not in said
