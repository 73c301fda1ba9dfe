"""``ansible-playbook site.yml`` in the environment of ``ansible-env``: a deploy like all others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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


def by_hand(ops: Path, served: Service, *words: str) -> subprocess.CompletedProcess[str]:
    said = run(sys.executable, "-m", "fleet_agent", "ansible-env", "--json", cwd=ops)
    assert said.returncode == 0, said.stderr
    env = {**json.loads(said.stdout), "FLEET_AGENT_SOCKET": served.socket}
    return run(str(ANSIBLE), "site.yml", *words, cwd=ops, **env)


def test_it_is_fleet_deploys_deploy_of_the_checkouts_commit(ops: Path, tmp_path: Path) -> None:
    head = run("git", "rev-parse", "HEAD", cwd=ops).stdout.strip()
    with service(tmp_path / "service", str(ops)) as served:
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


def test_outside_of_a_checkout_there_is_nothing_to_say(tmp_path: Path) -> None:
    done = run(sys.executable, "-m", "fleet_agent", "ansible-env", cwd=tmp_path)
    assert done.returncode == 2
    assert "fleet-agent init DIR" in done.stderr
