"""The word ``status``: what fleet-deploy answers from its current release's registry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet_agent.deploy.paths import DeployPaths
from fleet_agent.errors import CouldNotLook
from fleet_agent.observe.sight import from_value
from fleet_agent.registry import compiled, parse
from fleet_agent.services.deploy_status import StatusWord, ssh_argv


def places(tmp_path: Path) -> DeployPaths:
    return DeployPaths(str(tmp_path / "state"), str(tmp_path / "root"), str(tmp_path / "sock"))


def fleet_at(tmp_path: Path, text: str) -> DeployPaths:
    registry = parse.parse(text, "fleet.yaml")
    current = tmp_path / "root" / "current"
    current.mkdir(parents=True)
    (current / "registry.json").write_text(json.dumps(compiled.compile(registry)))
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "layouts.json").write_text(json.dumps({"127.0.0.1": {"root": "/x"}}))
    return places(tmp_path)


ONE = "wizards:\n  ezra: {host: 127.0.0.1, role: orchestrator, listen: {port: 1}}\n"


def test_it_answers_with_the_fleet(tmp_path: Path) -> None:
    answer = StatusWord(fleet_at(tmp_path, ONE))({"do": "status"})
    snapshot = from_value(json.loads(json.dumps(answer)))
    (wizard,) = snapshot.wizards
    assert (wizard.name, wizard.ssh.ok) == ("ezra", True)
    assert "refused" in wizard.health.why


def test_those_who_ask_at_once_share_one_look(tmp_path: Path) -> None:
    word = StatusWord(fleet_at(tmp_path, ONE))
    assert word({})["looked_at"] == word({})["looked_at"]


def test_before_the_first_deploy_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(CouldNotLook, match="nothing was deployed yet"):
        StatusWord(places(tmp_path))({})


def test_the_orchestrator_logs_in_with_its_own_key_and_pins(tmp_path: Path) -> None:
    paths = places(tmp_path)
    registry = parse.parse(
        "wizards:\n  ezra: {host: 'fd00::3', role: orchestrator, "
        "ssh: {port: 2222, proxy_jump: 'root@b'}}\n",
        "fleet.yaml",
    )
    argv = list(ssh_argv(paths, registry.orchestrator, 5))
    assert argv[-8:] == ["-i", paths.ssh_key, "-p", "2222", "-l", "fleet", "--", "fd00::3"]
    for option in ("BatchMode=yes", "ProxyJump=root@b", f"UserKnownHostsFile={paths.known_hosts}"):
        assert option in argv
