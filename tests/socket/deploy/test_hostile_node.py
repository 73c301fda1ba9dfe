"""Nodes in a thief's hands against the real ansible-playbook: what they say is only data."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import fleet_agent
from fleet_agent.deploy.ansible import Ways
from fleet_agent.deploy.plan import FORWARD, NodePlan, Plan
from fleet_agent.deploy.prepare import deploy_limits
from fleet_agent.deploy.run import Conductor
from fleet_agent.release import pyz
from fleet_agent.wire import DeployState, Phase

PACKAGE = Path(fleet_agent.__file__).parent
CORPUS = Path(__file__).parents[2] / "corpus" / "node"
GOOD = json.dumps({"ok": True, "touched": True, "notes": ["well"]})
# What `{{ 7 * 191 }}` of the corpus becomes when somebody renders it.
RENDERED = "1337"


def ansible_playbook() -> str:
    beside = Path(sys.executable).parent / "ansible-playbook"
    found = str(beside) if beside.exists() else shutil.which("ansible-playbook")
    assert found, "ansible-core belongs to the tools of development"
    return found


@dataclass
class Nodes:
    """Folders whose ``python`` says what a test wants it to say, whatever it is asked."""

    place: Path
    nodes: list[NodePlan] = field(default_factory=list)
    events: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, program: str) -> str:
        host = f"127.0.1.{len(self.nodes) + 1}"
        says = self.place / f"python-{len(self.nodes)}"
        says.write_text(f"#!/bin/sh\n{program}\n")
        says.chmod(0o755)
        layout = {
            "root": str(self.place), "systemctl": ["false"], "systemd_run": [],
            "unprivileged": True, "python": str(says),
        }  # fmt: skip
        self.nodes.append(NodePlan(host, (), False, connection="local", layout=layout))
        return host

    def says(self, path: Path) -> str:
        return self.add(f"cat '{path}'")

    def plan(self) -> Plan:
        tree, directory = self.place / "tree", self.place / "run"
        tree.mkdir()
        directory.mkdir()
        shutil.copy(PACKAGE / "share/fleet-ops/site.yml", tree)
        code = pyz.build(PACKAGE)
        (directory / "node.pyz").write_bytes(code.data)
        return Plan(
            deploy=1, nonce="0" * 16, mode=FORWARD, check=False, commit="c" * 40, ref="main",
            fleet="f", holder="a test", directory=str(directory), code=str(PACKAGE.parent),
            tree=str(tree), registry={}, limits=deploy_limits({}),
            nodes=tuple(self.nodes), pyz=str(directory / "node.pyz"), pyz_sha256=code.sha256,
        )  # fmt: skip

    def conductor(self) -> Conductor:
        control = self.place / "cp"
        control.mkdir()
        ways = Ways(
            playbook_program=ansible_playbook(),
            code=str(PACKAGE.parent),
            playbooks=os.path.realpath(PACKAGE / "share/playbooks"),
            ssh_key="/nonexistent",
            known_hosts="/dev/null",
            control_directory=str(control),
        )
        return Conductor(ways, os.environ, self.events.append)


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return Nodes(tmp_path)


def test_no_answer_of_a_node_hinders_the_way_back_of_the_others(nodes: Nodes) -> None:
    good = nodes.add(f"echo '{GOOD}'")
    said = {nodes.says(path): path.stem for path in sorted(CORPUS.glob("*.out"))}
    outcome = nodes.conductor().put_back(nodes.plan())
    ended = {event["host"] for event in nodes.events if event["event"] == "ok"
             and event["phase"] == Phase.AUDIT}  # fmt: skip
    assert good in ended
    heard = {event["host"] for event in nodes.events if event["event"] in ("ok", "failed")}
    assert heard == {good, *said}, "every node was asked, and what it said was taken"
    assert outcome.state is DeployState.FAILED
    assert outcome.result["put_back"] == [good]


def test_nothing_that_a_node_says_is_rendered(nodes: Nodes) -> None:
    nodes.says(CORPUS / "templates.out")
    plan = nodes.plan()
    nodes.conductor().put_back(plan)
    told = json.dumps(nodes.events)
    assert "{{ 7 * 191 }}" in told
    assert "lookup(" in told
    assert RENDERED not in told
    log = Path(plan.directory, "ansible.log").read_text()
    assert RENDERED not in log


def test_what_looks_like_ansibles_own_words_is_not_taken_for_them(nodes: Nodes) -> None:
    nodes.says(CORPUS / "facts.out")
    nodes.conductor().put_back(nodes.plan())
    asked = [event["phase"] for event in nodes.events if event["event"] == "ok"]
    # The plan and the interpreter stayed what they were, to the last phase.
    assert asked == list(Phase)
    assert {event.get("host") for event in nodes.events if event.get("mode")} <= {None, "127.0.1.1"}


def test_a_node_that_speaks_without_end_fails_and_the_others_are_put_back(nodes: Nodes) -> None:
    good = nodes.add(f"echo '{GOOD}'")
    flooding = nodes.add("exec yes '{\"ok\": true}'")
    outcome = nodes.conductor().put_back(nodes.plan())
    assert outcome.result["put_back"] == [good]
    assert outcome.result["unconfirmed"] == [flooding]
    failures = {failure["host"]: failure["what"] for failure in outcome.result["back_failures"]}
    assert "are too many" in failures[flooding], failures
