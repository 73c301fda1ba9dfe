"""The roles' argument specs against the variables that a run gives them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fleet_agent.deploy import ansible
from fleet_agent.wire import Phase

from .test_ansible import WAYS
from .test_plan import a_plan

ROLES = Path(__file__).parents[3] / "playbooks" / "roles"


@pytest.mark.parametrize("phase", [phase.value for phase in Phase])
def test_every_variable_that_a_role_requires_is_given(phase: str, tmp_path: Path) -> None:
    specs = yaml.safe_load((ROLES / phase / "meta" / "argument_specs.yml").read_text())
    defaults = yaml.safe_load((ROLES / phase / "defaults" / "main.yml").read_text())
    given = ansible.extra_vars(WAYS, a_plan(tmp_path), "/plan.json")
    options = specs["argument_specs"]["main"]["options"]
    required = {name for name, option in options.items() if option.get("required")}
    assert required
    assert required <= set(given)
    assert set(defaults) <= set(options)


@pytest.mark.parametrize("phase", [phase.value for phase in Phase])
def test_a_role_is_one_task_of_ours_and_the_operators_own(phase: str) -> None:
    tasks = yaml.safe_load((ROLES / phase / "tasks" / "main.yml").read_text())
    assert [set(task) - {"name", "timeout"} for task in tasks] == [
        {"fleet_phase"},
        {"ansible.builtin.import_tasks"},
    ]
    assert tasks[0]["fleet_phase"]["phase"] == phase
