"""Confirmations over connections that may have been opened before, with real processes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fleet_agent.deploy.ansible import Ways
from fleet_agent.deploy.confirm import Connections
from fleet_agent.deploy.plan import NodePlan, Plan
from fleet_agent.node.layout import Layout
from tests.unit.deploy.test_plan import a_plan

HOST = "192.0.2.11"
# In the place of the node's code: notes its start, waits for the spec, says what it was told to.
NODE = """
import os, pathlib, sys
here = pathlib.Path(__file__).parent
(here / f"started-{os.getpid()}").touch()
line = sys.stdin.readline()
(here / f"asked-{os.getpid()}").write_text(line)
print((here / "answer").read_text() if line else "")
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    layout = {
        "root": str(tmp_path), "systemctl": ["true"], "systemd_run": [], "unprivileged": True,
        "python": sys.executable,
    }  # fmt: skip
    node = NodePlan(HOST, ("bezalel",), orchestrator=False, connection="local", layout=layout)
    plan = replace(a_plan(tmp_path), nodes=(node,))
    code = Path(Layout(root=str(tmp_path)).pyz(plan.pyz_sha256))
    code.parent.mkdir(parents=True)
    code.write_text(NODE)
    (code.parent / "answer").write_text('{"ok": true}')
    return plan


@pytest.fixture
def code(plan: Plan, tmp_path: Path) -> Path:
    return Path(Layout(root=str(tmp_path)).code)


def connections(plan: Plan) -> Connections:
    return Connections(Ways("", "", "", "", "", ""), plan)


def pids(code: Path, what: str) -> set[str]:
    return {path.name.removeprefix(f"{what}-") for path in code.glob(f"{what}-*")}


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_node_that_acknowledges_is_confirmed(plan: Plan, code: Path) -> None:
    with connections(plan) as opened:
        assert opened.confirm([HOST]) == ((HOST,), ())
    assert len(pids(code, "asked")) == 1


def test_a_connection_that_was_opened_early_waits_for_the_word(plan: Plan, code: Path) -> None:
    with connections(plan) as opened:
        opened.open([HOST])
        opened.open([HOST])
        until(lambda: len(pids(code, "started")) == 1)
        assert pids(code, "asked") == set()
        assert opened.confirm([HOST]) == ((HOST,), ())
    assert pids(code, "asked") == pids(code, "started")


def test_a_connection_that_broke_meanwhile_is_made_anew(plan: Plan, code: Path) -> None:
    with connections(plan) as opened:
        opened.open([HOST])
        until(lambda: len(pids(code, "started")) == 1)
        (first,) = pids(code, "started")
        os.kill(int(first), 9)
        until(lambda: not _runs(int(first)))
        assert opened.confirm([HOST]) == ((HOST,), ())
    assert len(pids(code, "started")) == 2
    assert first not in pids(code, "asked")


def test_what_was_opened_for_nothing_is_ended(plan: Plan, code: Path) -> None:
    with connections(plan) as opened:
        opened.open([HOST])
        until(lambda: len(pids(code, "started")) == 1)
    (pid,) = pids(code, "started")
    assert not Path(f"/proc/{pid}").exists()
    assert pids(code, "asked") == set()


def test_a_node_that_refuses_is_a_failure_in_its_own_words(plan: Plan, code: Path) -> None:
    (code / "answer").write_text('{"ok": false, "error": {"what": "is armed no more"}}')
    with connections(plan) as opened:
        opened.open([HOST])
        confirmed, (failure,) = opened.confirm([HOST])
    assert confirmed == ()
    assert (failure.host, failure.phase, failure.what) == (HOST, "confirm", "is armed no more")


def _runs(pid: int) -> bool:
    """Whether it is more than a process that nobody has waited for yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
