"""A commit whose own play is broken: what it says can't hinder the way back of what it did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet_agent.wire import DeployState
from tests.talking_nodes import PACKAGE, TalkingNodes

GOOD = json.dumps({"ok": True, "touched": True})
IMPORT = (PACKAGE / "share/fleet-ops/site.yml").read_text().removeprefix("---\n")
FAILING_PLAY = """\
- name: Something of the operator's
  hosts: nodes
  gather_facts: false
  tasks:
    - name: Fail
      ansible.builtin.fail: {msg: no}
"""
SITES = {
    "no YAML": "- : [",
    "no play": "nothing here",
    "a play before ours that fails": f"---\n{FAILING_PLAY}{IMPORT}",
    "a play behind ours that fails": f"---\n{IMPORT}{FAILING_PLAY}",
    "another connection": f"---\n{IMPORT}",
}


@pytest.fixture
def nodes(tmp_path: Path) -> TalkingNodes:
    return TalkingNodes(tmp_path)


@pytest.mark.parametrize("site", SITES)
def test_a_broken_play_of_the_tree_does_not_hinder_the_way_back(
    nodes: TalkingNodes, site: str
) -> None:
    host = nodes.add(f"echo '{GOOD}'")
    plan = nodes.plan()
    tree = Path(plan.tree)
    (tree / "site.yml").write_text(SITES[site])
    (tree / "ansible.cfg").write_text("[defaults]\naction_plugins = /nonexistent\n")
    for folder in ("group_vars", "host_vars"):
        (tree / folder).mkdir()
    for path in ("group_vars/all.yml", "group_vars/nodes.yml", f"host_vars/{host}.yml"):
        (tree / path).write_text("ansible_connection: ssh\nfleet_plan: /nonexistent\n")
    outcome = nodes.conductor().put_back(plan)
    assert outcome.state is DeployState.ROLLED_BACK, outcome
    assert outcome.result["put_back"] == [host]


def test_variables_that_cannot_be_read_do_not_hinder_the_way_back(nodes: TalkingNodes) -> None:
    host = nodes.add(f"echo '{GOOD}'")
    plan = nodes.plan()
    theirs = Path(plan.tree) / "group_vars"
    theirs.mkdir()
    (theirs / "all.yml").write_text("- : [")
    Path(plan.directory, "group_vars").symlink_to(theirs)  # as the way forward has left it
    outcome = nodes.conductor().put_back(plan)
    assert outcome.result["put_back"] == [host], outcome


def test_tasks_that_undo_run_from_the_trees_own_play(nodes: TalkingNodes, tmp_path: Path) -> None:
    nodes.add(f"echo '{GOOD}'")
    plan = nodes.plan()
    (Path(plan.tree) / "tasks").mkdir()
    (Path(plan.tree) / "group_vars").mkdir()
    (Path(plan.tree) / "group_vars/all.yml").write_text(f"where: {tmp_path}/undone\n")
    undo = "- name: Undo\n  ansible.builtin.copy: {dest: '{{ where }}', content: x, mode: '0600'}\n"
    (Path(plan.tree) / "tasks/undo.yml").write_text(undo)
    outcome = nodes.conductor().put_back(plan)
    assert outcome.state is DeployState.ROLLED_BACK, outcome
    assert (tmp_path / "undone").exists()
