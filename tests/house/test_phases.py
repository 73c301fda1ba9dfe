"""role = Phase = node module, in one order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from fleet_agent.wire import Phase
from tests.house.sources import PACKAGE, ROOT

PLAYBOOKS = ROOT / "playbooks"
PHASES = [phase.value for phase in Phase]


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def test_the_play_has_the_eight_phases_in_their_order() -> None:
    (play,) = read(PLAYBOOKS / "site.yml")
    imported = [task["ansible.builtin.import_role"] for task in play["tasks"]]
    assert [role["name"] for role in imported] == PHASES
    assert len(PHASES) == 8


def test_there_is_a_role_for_each_phase_and_no_other() -> None:
    assert sorted(path.name for path in (PLAYBOOKS / "roles").iterdir()) == sorted(PHASES)


def test_there_is_a_node_module_for_each_phase() -> None:
    assert [name for name in PHASES if not (PACKAGE / "node" / f"{name}.py").is_file()] == []


def test_a_role_is_one_task_of_ours_and_then_the_operators() -> None:
    for name in PHASES:
        ours, theirs = read(PLAYBOOKS / "roles" / name / "tasks/main.yml")
        assert ours["fleet_phase"]["phase"] == name
        assert "fleet_operator_tasks" in theirs["ansible.builtin.import_tasks"]
        assert name in theirs["ansible.builtin.import_tasks"]


def test_a_role_declares_its_variables_and_prefixes_them() -> None:
    for name in PHASES:
        role = PLAYBOOKS / "roles" / name
        declared = read(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
        defaults = read(role / "defaults/main.yml")
        assert set(defaults) <= set(declared)
        assert all(key.startswith((f"{name}_", "fleet_")) for key in declared), name


def test_no_playbook_ignores_an_error_or_uses_a_shell() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in PLAYBOOKS.rglob("*.yml")
        for word in ("ignore_errors", "failed_when: false", "ansible.builtin.shell", "rescue:")
        if word in path.read_text("utf-8")
    ]
    assert found == []
