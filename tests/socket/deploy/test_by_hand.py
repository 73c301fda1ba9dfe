"""``ansible-playbook site.yml`` in the environment of ``ansible-env``: a deploy like all others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy_world import HERE, Service, service

ANSIBLE = Path(sys.executable).with_name("ansible-playbook")


def run(*argv: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(HERE.parent), **more}
    return subprocess.run(
        argv, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=100
    )


@pytest.fixture
def ops(tmp_path: Path) -> Path:
    made = tmp_path / "ops"
    words = ["init", str(made), "root@192.0.2.10", "root@192.0.2.11"]
    done = run(sys.executable, "-m", "fleet_agent", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def served(ops: Path, tmp_path: Path) -> Iterator[Service]:
    with service(tmp_path / "service", str(ops)) as running:
        yield running


def by_hand(ops: Path, served: Service, *words: str) -> subprocess.CompletedProcess[str]:
    said = run(sys.executable, "-m", "fleet_agent", "ansible-env", "--json", cwd=ops)
    assert said.returncode == 0, said.stderr
    env = {**json.loads(said.stdout), "FLEET_AGENT_SOCKET": served.socket}
    return run(str(ANSIBLE), "site.yml", *words, cwd=ops, **env)


def test_it_is_fleet_deploys_deploy_of_the_checkouts_commit(ops: Path, served: Service) -> None:
    head = run("git", "rev-parse", "HEAD", cwd=ops).stdout.strip()
    dry = by_hand(ops, served, "--check")
    assert dry.returncode == 0, dry.stdout + dry.stderr
    assert (served.runs("checked"), served.runs()) == ([head], [])
    done = by_hand(ops, served)
    assert done.returncode == 0, done.stdout + done.stderr
    assert served.runs() == [head]
    assert "deploy 2  verified" in done.stdout
    served.behave("rolled_back")
    broken = by_hand(ops, served)
    assert broken.returncode != 0
    assert "rolled_back" in broken.stdout
    assert run("git", "status", "--porcelain", cwd=ops).stdout == ""


def test_the_inventory_has_a_path_for_ansible_and_for_a_script(ops: Path, served: Service) -> None:
    path = run(sys.executable, "-m", "fleet_agent", "inventory", "--path", cwd=ops).stdout.strip()
    done = by_hand(ops, served, "-i", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(served.runs()) == 1
    script = ops.parent / "inventory"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m fleet_agent inventory "$@"\n')
    script.chmod(0o755)
    said = run(sys.executable, "-m", "fleet_agent", "ansible-env", "--json", cwd=ops)
    tool = str(ANSIBLE.with_name("ansible-inventory"))
    listed = run(tool, "-i", str(script), "--list", cwd=ops, **json.loads(said.stdout))
    assert json.loads(listed.stdout)["nodes"]["hosts"] == ["192.0.2.10", "192.0.2.11"]


def test_a_part_of_the_fleet_is_refused_and_nothing_is_asked_for(
    ops: Path, served: Service
) -> None:
    part = by_hand(ops, served, "--limit", "192.0.2.11")
    assert part.returncode != 0
    assert "a fleet is deployed whole: run it without --limit" in part.stdout + part.stderr
    assert served.deploys() == []
    tagged = by_hand(ops, served, "--tags", "nothing")
    assert tagged.returncode == 0, tagged.stdout + tagged.stderr
    assert len(served.runs()) == 1


def test_without_the_environment_it_says_what_to_say_first(ops: Path) -> None:
    path = run(sys.executable, "-m", "fleet_agent", "inventory", "--path", cwd=ops).stdout.strip()
    done = run(str(ANSIBLE), "-i", path, "site.yml", cwd=ops)
    assert done.returncode != 0
    assert 'say first: eval "$(fleet-agent ansible-env)"' in done.stdout + done.stderr


def test_outside_of_a_checkout_there_is_nothing_to_say(tmp_path: Path) -> None:
    done = run(sys.executable, "-m", "fleet_agent", "ansible-env", cwd=tmp_path)
    assert done.returncode == 2
    assert "fleet-agent init DIR" in done.stderr
