"""How ansible-playbook is called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fleet_agent.deploy import ansible
from fleet_agent.deploy.ansible import Ways
from fleet_agent.deploy.plan import BACK, NodePlan

from .test_plan import a_plan

WAYS = Ways(
    playbook_program="/venv/bin/ansible-playbook",
    code="/code",
    playbooks="/code/fleet_agent/share/playbooks",
    ssh_key="/state/ssh/id",
    known_hosts="/state/ssh/known_hosts",
    control_directory="/state/cp",
)


def test_forks_are_never_fewer_than_nodes(tmp_path: Path) -> None:
    many = tuple(NodePlan(f"192.0.2.{n}", (f"w{n}",), False) for n in range(1, 101))
    text = ansible.configuration(WAYS, replace(a_plan(tmp_path), nodes=many))
    assert "forks = 100\n" in text


def test_one_failed_host_ends_the_way_forward_for_all_and_never_the_way_back(
    tmp_path: Path,
) -> None:
    # In the configuration: as a template in the play, Ansible takes its text for true.
    assert "any_errors_fatal = True\n" in ansible.configuration(WAYS, a_plan(tmp_path))
    back = replace(a_plan(tmp_path), mode=BACK)
    assert "any_errors_fatal = False\n" in ansible.configuration(WAYS, back)


def test_host_keys_are_pinned_and_keep_alives_set(tmp_path: Path) -> None:
    text = ansible.configuration(WAYS, a_plan(tmp_path))
    for option in (
        "StrictHostKeyChecking=yes",
        "UserKnownHostsFile=/state/ssh/known_hosts",
        "ServerAliveInterval=5",
        "BatchMode=yes",
    ):
        assert option in text


def test_an_ansible_variable_of_whoever_started_us_stays_outside(tmp_path: Path) -> None:
    inherited = {"PATH": "/bin", "ANSIBLE_STRATEGY": "free", "SECRET": "x", "HOME": "/h"}
    env = ansible.environment(WAYS, a_plan(tmp_path), inherited, events_fd=9)
    assert "ANSIBLE_STRATEGY" not in env
    assert "SECRET" not in env
    assert env["ANSIBLE_CONFIG"] == str(tmp_path / "ansible.cfg")
    assert env["PATH"].startswith("/venv/bin:")


def test_the_inventory_names_how_each_node_is_reached(tmp_path: Path) -> None:
    hosts = ansible.inventory(WAYS, a_plan(tmp_path))["all"]["children"]["nodes"]["hosts"]
    assert hosts["192.0.2.10"]["ansible_become"] is True
    assert hosts["2001:db8::1"]["ansible_become"] is False  # root needs no sudo
    assert hosts["2001:db8::1"]["ansible_port"] == 2222


def test_the_way_back_visits_only_the_hosts_it_was_given(tmp_path: Path) -> None:
    only = frozenset(("192.0.2.10",))
    hosts = ansible.inventory(WAYS, a_plan(tmp_path), only)["all"]["children"]["nodes"]["hosts"]
    assert set(hosts) == only


def test_a_dry_run_is_ansibles_own_check_with_diff(tmp_path: Path) -> None:
    command = ansible.argv(WAYS, replace(a_plan(tmp_path), check=True), "i", "v")
    assert command[-3:-1] == ["--check", "--diff"]
    assert "--check" not in ansible.argv(WAYS, a_plan(tmp_path), "i", "v")


def test_variables_of_the_tree_are_found_beside_the_inventory(tmp_path: Path) -> None:
    plan = a_plan(tmp_path)
    theirs = Path(plan.tree) / "group_vars"
    theirs.mkdir(parents=True)
    (theirs / "nodes.yml").write_text("a: 1\n")
    for _ in range(2):  # forward, and back
        inventory, _ = ansible.write_inputs(WAYS, plan, "plan.json")
    assert (Path(inventory).parent / "group_vars/nodes.yml").read_text() == "a: 1\n"
