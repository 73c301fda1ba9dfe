"""The demo's fleet-ops repository."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fleet_agent.registry import parse
from fleet_agent.setup.demo import fleet, ground
from fleet_agent.setup.git import WorkTree
from fleet_agent.wire import Role


@pytest.fixture
def here(short: Path) -> ground.Ground:
    made = ground.choose(short / "demo")
    made.forge.mkdir(parents=True)
    WorkTree(made.forge).git("init", "--quiet", "--bare", "--initial-branch=main", ".")
    fleet.make(made)
    return made


def test_its_registry_is_right_and_has_what_the_story_tells(here: ground.Ground) -> None:
    read = parse.load(str(here.fleet_ops / "fleet.yaml"))
    assert [wizard.name for wizard in read.wizards] == ["ezra", "bezalel", "allegro"]
    assert read.orchestrator.role is Role.ORCHESTRATOR
    assert {wizard.model for wizard in read.wizards} == {fleet.MODEL}
    assert read.deploy.hook_port == here.hook_port
    assert [wizard.listen.port for wizard in read.wizards] == [node.port for node in here.nodes]


def test_each_change_is_a_commit_and_the_last_mends_the_one_before(here: ground.Ground) -> None:
    tree = WorkTree(here.fleet_ops)
    first = tree.commit_of("HEAD")
    fleet.change_model(here)
    changed = tree.commit_of("HEAD^{tree}") or tree.git("rev-parse", "HEAD^{tree}").text
    fleet.break_agents(here)
    fleet.mend_agents(here)
    assert tree.git("rev-parse", "HEAD^{tree}").text == changed
    assert tree.git("rev-list", "--count", f"{first}..HEAD").text == "3"
    assert tree.changed() == ()


@pytest.mark.parametrize(("model", "says"), [("m", "ezra thinks with m"), ("", "no model")])
def test_the_agent_stays_with_a_model_and_ends_at_once_without(
    tmp_path: Path, model: str, says: str
) -> None:
    (tmp_path / "agent.py").write_text(fleet.AGENT)
    (tmp_path / "config.json").write_text(json.dumps({"wizard": "ezra", "model": model}))
    agent = subprocess.Popen(
        [sys.executable, "-I", "-S", "agent.py", "config.json"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert agent.stdout is not None
    assert says in agent.stdout.readline()
    if model:
        assert agent.poll() is None
        agent.terminate()
    assert agent.wait(20) != 0
    agent.stdout.close()


def test_its_wizards_answer_what_they_are_asked(here: ground.Ground, tmp_path: Path) -> None:
    read = parse.load(str(here.fleet_ops / "fleet.yaml"))
    node, wizard = here.nodes[1], read.wizards[1]
    command = wizard.handlers["request"].exec
    assert command is not None
    assert command[-2:] == (
        f"{node.root}/srv/agent/answer.py",
        f"{node.root}/srv/agent/config.json",
    )
    (tmp_path / "answer.py").write_text(fleet.ANSWER)
    (tmp_path / "config.json").write_text(json.dumps({"wizard": "bezalel", "model": "m"}))
    done = subprocess.run(
        [*command[:-2], str(tmp_path / "answer.py"), str(tmp_path / "config.json")],
        input=json.dumps({"payload": "2+2?"}), capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip
    assert json.loads(done.stdout) == {"you asked": "2+2?", "answer": "bezalel thinks with m"}
