"""Plans: which nodes, which operator's tasks, and back from JSON."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fleet_agent.deploy import plan as plans
from fleet_agent.deploy.plan import BACK, FORWARD, NodePlan, Plan
from fleet_agent.deploy.prepare import deploy_limits
from fleet_agent.errors import ConfigError
from fleet_agent.registry.parse import parse

REGISTRY = """
wizards:
  ezra: {host: 192.0.2.10, role: orchestrator}
  bezalel: {host: "2001:db8::1", ssh: {user: root, port: 2222}}
  allegro: {host: 192.0.2.10, health_endpoint: "http://192.0.2.10:8647/health"}
"""


def a_plan(directory: Path, mode: str = FORWARD) -> Plan:
    nodes = plans.plan_nodes(parse(REGISTRY, "fleet.yaml"), {})
    return Plan(
        deploy=7,
        nonce="0123456789abcdef",
        mode=mode,
        check=False,
        commit="a" * 40,
        ref="PROD",
        fleet="timmy",
        holder="a test",
        directory=str(directory),
        code="/code",
        tree=str(directory / "tree"),
        registry={},
        limits=deploy_limits({}),
        nodes=nodes,
        pyz="/pyz",
        pyz_sha256="b" * 64,
    )


def test_wizards_of_one_host_are_one_node_in_the_order_of_the_file(tmp_path: Path) -> None:
    nodes = a_plan(tmp_path).nodes
    assert [node.wizards for node in nodes] == [("ezra", "allegro"), ("bezalel",)]
    assert [node.orchestrator for node in nodes] == [True, False]
    assert (nodes[0].user, nodes[1].user, nodes[1].port) == ("fleet", "root", 2222)


def test_a_plan_survives_its_file_unchanged(tmp_path: Path) -> None:
    plan = a_plan(tmp_path)
    plans.write(plan, str(tmp_path / "plan.json"))
    assert plans.load(str(tmp_path / "plan.json")) == plan
    assert (tmp_path / "plan.json").stat().st_mode & 0o777 == 0o600


def test_a_host_that_is_no_part_of_the_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not part of the run"):
        a_plan(tmp_path).node("198.51.100.1")


def test_a_folder_of_the_demo_is_reached_without_ssh() -> None:
    layouts = {"192.0.2.10": {"root": "/demo/n1"}}
    nodes = plans.plan_nodes(parse(REGISTRY, "fleet.yaml"), layouts)
    assert [node.connection for node in nodes] == ["local", "ssh"]
    assert nodes[0].layout == {"root": "/demo/n1"}


@pytest.fixture
def with_tasks(tmp_path: Path) -> Path:
    tasks = tmp_path / "tree" / "tasks"
    tasks.mkdir(parents=True)
    for name in ("deploy", "verify", "undo"):
        (tasks / f"{name}.yml").write_text("[]")
    (tasks / "soul.yml").symlink_to("/etc/passwd")
    return tmp_path


def test_operators_tasks_run_in_their_phases_and_links_do_not(with_tasks: Path) -> None:
    chosen = plans.operator_tasks(a_plan(with_tasks), "/noop.yml")
    own = {phase for phase, path in chosen.items() if path != "/noop.yml"}
    assert own == {"deploy", "verify"}


def test_on_the_way_back_only_undo_runs(with_tasks: Path) -> None:
    chosen = plans.operator_tasks(a_plan(with_tasks, BACK), "/noop.yml")
    assert {phase: path for phase, path in chosen.items() if path != "/noop.yml"} == {
        "deploy": str(with_tasks / "tree" / "tasks" / "undo.yml")
    }


def test_a_node_directory_is_one_folder_whatever_the_host(tmp_path: Path) -> None:
    plan = replace(a_plan(tmp_path), nodes=(NodePlan("2001:db8::1", ("a",), False),))
    assert Path(plan.node_directory("2001:db8::1")).parent == tmp_path / "nodes"
