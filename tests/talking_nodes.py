"""Nodes that are folders and say what a test wants, under the real ansible-playbook."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fleet_agent
from fleet_agent.deploy.ansible import Ways
from fleet_agent.deploy.plan import FORWARD, NodePlan, Plan
from fleet_agent.deploy.prepare import deploy_limits
from fleet_agent.deploy.run import Conductor
from fleet_agent.release import pyz

PACKAGE = Path(fleet_agent.__file__).parent


def ansible_playbook() -> str:
    beside = Path(sys.executable).parent / "ansible-playbook"
    found = str(beside) if beside.exists() else shutil.which("ansible-playbook")
    assert found, "ansible-core belongs to the tools of development"
    return found


@dataclass
class TalkingNodes:
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
