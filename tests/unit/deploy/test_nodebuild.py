"""A release is built of the code that the run kept once, and packed as the node lacks it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from fleet_agent.deploy import nodebuild
from fleet_agent.deploy import plan as plans
from fleet_agent.deploy.plan import NodePlan, Plan
from fleet_agent.registry.compiled import compile as compiled
from fleet_agent.registry.parse import parse
from fleet_agent.release.manifest import Manifest, from_json
from fleet_agent.release.pack import unpack
from tests.unit.deploy.test_plan import a_plan

REPOSITORY = Path(__file__).parents[3]
REGISTRY = """
fleet: timmy
wizards:
  ezra: {host: 192.0.2.10, role: orchestrator}
  bezalel: {host: 192.0.2.11, soul: souls/bezalel.md}
"""


def as_it_is(path: str, values: object) -> str:
    return Path(path).read_text()


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    registry = parse(REGISTRY, "fleet.yaml")
    (tmp_path / "tree" / "souls").mkdir(parents=True)
    (tmp_path / "tree" / "souls" / "bezalel.md").write_text("Be kind.\n")
    nodebuild.keep_code(str(REPOSITORY), str(tmp_path))
    return replace(
        a_plan(tmp_path),
        registry=compiled(registry),
        nodes=plans.plan_nodes(registry, {}),
        code=str(REPOSITORY),
    )


def built(plan: Plan, host: str) -> tuple[NodePlan, Manifest]:
    node = plan.node(host)
    nodebuild.build(plan, node, as_it_is)
    return node, from_json(nodebuild.manifest(plan, node))


def test_a_pack_brings_every_content_of_the_manifest(plan: Plan) -> None:
    node, manifest = built(plan, "192.0.2.11")
    brought = unpack(nodebuild.pack(plan, node, text_only=False), manifest)
    assert set(brought) == {entry.sha256 for entry in manifest.files}
    at = {entry.path: brought[entry.sha256] for entry in manifest.files}
    assert at["wizards/bezalel/soul"] == b"Be kind.\n"
    package = REPOSITORY / "fleet_agent"
    assert at["code/fleet_agent/wire.py"] == (package / "wire.py").read_bytes()


def test_a_pack_leaves_out_what_the_node_has(plan: Plan) -> None:
    node, manifest = built(plan, "192.0.2.11")
    code = {entry.sha256 for entry in manifest.files if entry.path.startswith("code/")}
    nodebuild.remember_have(plan, node, sorted(code))
    brought = unpack(nodebuild.pack(plan, node, text_only=False), manifest)
    assert set(brought) == {entry.sha256 for entry in manifest.files} - code


def test_a_check_is_given_everything_but_the_code(plan: Plan) -> None:
    node, manifest = built(plan, "192.0.2.11")
    brought = unpack(nodebuild.pack(plan, node, text_only=True), manifest)
    wanted = {entry.sha256 for entry in manifest.files if not entry.path.startswith("code/")}
    assert set(brought) == wanted
    assert hashlib.sha256(b"Be kind.\n").hexdigest() in wanted


def test_two_nodes_of_a_run_are_made_of_the_same_code(plan: Plan) -> None:
    _, one = built(plan, "192.0.2.10")
    _, other = built(plan, "192.0.2.11")
    of_one, of_other = (
        {entry for entry in manifest.files if entry.path.startswith("code/")}
        for manifest in (one, other)
    )
    assert of_one == of_other
    assert len(of_one) > 200
