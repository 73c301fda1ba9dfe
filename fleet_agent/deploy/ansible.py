"""How ansible-playbook is called: its configuration, inventory, environment and argv as values.

The configuration is always ours, never the tree's. Supported and tested: ansible-core 2.14 (the
one of Debian 12) to the newest for each Debian's Python.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fleet_agent.deploy.plan import BACK, FORWARD, NodePlan, Plan, operator_tasks, undo_of

EVENTS_FD_VARIABLE: Final = "FLEET_AGENT_EVENTS_FD"
PLAYBOOKS_VARIABLE: Final = "FLEET_AGENT_PLAYBOOKS"
GROUP_VARS: Final = "group_vars"
_CONTROL_PERSIST: Final = "60s"
# Variables of fleet-deploy's own environment that Ansible may see. Everything else, an
# ANSIBLE_* of whoever started us included, stays outside.
_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "SSH_AUTH_SOCK")


@dataclass(frozen=True, slots=True)
class Ways:
    """Where Ansible's side finds things on the orchestrator.

    ``playbook_program`` is ansible-playbook; ``code`` the directory that holds the driving
    ``fleet_agent`` package; ``control_directory`` must be short (sockets in it, 104 bytes in all).
    """

    playbook_program: str
    code: str
    playbooks: str
    ssh_key: str
    known_hosts: str
    control_directory: str
    vault_password_file: str = ""


def ssh_options(ways: Ways, plan: Plan) -> list[str]:
    """ssh options of every connection of a deploy, without multiplexing."""
    connect = int(plan.limits["deploy_connect_seconds"])
    return [
        "-o", "BatchMode=yes",
        "-o", "StrictHostKeyChecking=yes",
        "-o", f"UserKnownHostsFile={ways.known_hosts}",
        "-o", "GlobalKnownHostsFile=/dev/null",
        "-o", "IdentitiesOnly=yes",
        "-o", f"ConnectTimeout={connect}",
        "-o", "ServerAliveInterval=5",
        "-o", "ServerAliveCountMax=3",
        "-o", "ForwardAgent=no",
    ]  # fmt: skip


def configuration(ways: Ways, plan: Plan) -> str:
    """The text of ansible.cfg for this run."""
    forks = max(int(plan.limits["deploy_forks"]), len(plan.nodes))
    ssh_args = " ".join(
        [
            "-o ControlMaster=auto",
            f"-o ControlPersist={_CONTROL_PERSIST}",
            *_pairs(ssh_options(ways, plan)),
        ]
    )
    vault = (
        f"vault_password_file = {ways.vault_password_file}\n" if ways.vault_password_file else ""
    )
    return f"""\
[defaults]
forks = {forks}
any_errors_fatal = {plan.mode == FORWARD}
gathering = explicit
roles_path = {ways.playbooks}/roles
action_plugins = {ways.playbooks}/plugins/action
callback_plugins = {ways.playbooks}/plugins/callback
callbacks_enabled = fleet_events
interpreter_python = /usr/bin/python3
timeout = {int(plan.limits["deploy_connect_seconds"])}
host_key_checking = True
retry_files_enabled = False
inject_facts_as_vars = False
use_persistent_connections = False
deprecation_warnings = False
nocows = True
local_tmp = {plan.directory}/ansible-tmp
{vault}
[inventory]
enable_plugins = yaml

[privilege_escalation]
become_method = sudo

[connection]
pipelining = True

[ssh_connection]
pipelining = True
retries = 1
control_path_dir = {ways.control_directory}
control_path = %(directory)s/%%C
ssh_args = {ssh_args}
"""


def _pairs(options: list[str]) -> list[str]:
    return [f"{options[i]} {options[i + 1]}" for i in range(0, len(options), 2)]


def inventory(ways: Ways, plan: Plan, only: frozenset[str] | None = None) -> dict[str, Any]:
    """The run's inventory (JSON is YAML): group ``nodes``, with ``only`` these hosts."""
    chosen = [node for node in plan.nodes if only is None or node.host in only]
    return {
        "all": {
            "children": {
                "nodes": {"hosts": {node.host: _host_vars(ways, node) for node in chosen}},
                "orchestrator": {"hosts": {node.host: {} for node in chosen if node.orchestrator}},
            }
        }
    }


def _host_vars(ways: Ways, node: NodePlan) -> dict[str, Any]:
    if node.connection == "local":
        return {
            "ansible_connection": "local",
            "ansible_become": False,
            "fleet_wizards": list(node.wizards),
        }
    values: dict[str, Any] = {
        "ansible_host": node.host.strip("[]"),
        "ansible_user": node.user,
        "ansible_port": node.port,
        "ansible_ssh_private_key_file": ways.ssh_key,
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_become": node.user != "root",
        "fleet_wizards": list(node.wizards),
    }
    if node.proxy_jump:
        values["ansible_ssh_common_args"] = f"-o ProxyJump={node.proxy_jump}"
    return values


def extra_vars(ways: Ways, plan: Plan, plan_path: str) -> dict[str, Any]:
    """Variables of the play; the operator's own may not override them."""
    return {
        "fleet_plan": plan_path,
        "fleet_mode": plan.mode,
        "fleet_name": plan.fleet,
        "fleet_commit": plan.commit,
        "fleet_phase_seconds": int(plan.limits["deploy_phase_seconds"]),
        "fleet_operator_tasks": operator_tasks(plan, f"{ways.playbooks}/tasks/noop.yml"),
    }


def environment(
    ways: Ways, plan: Plan, inherited: Mapping[str, str], events_fd: int
) -> dict[str, str]:
    """The environment of ansible-playbook: little is inherited, the configuration is ours."""
    chosen = {name: inherited[name] for name in _INHERITED if name in inherited}
    return {
        **chosen,
        "PATH": os.pathsep.join(
            [os.path.dirname(ways.playbook_program), chosen.get("PATH", os.defpath)]
        ),
        "PYTHONPATH": ways.code,
        "PYTHONDONTWRITEBYTECODE": "1",
        "ANSIBLE_CONFIG": os.path.join(plan.directory, "ansible.cfg"),
        "ANSIBLE_HOME": os.path.join(plan.directory, "ansible-home"),
        "ANSIBLE_NOCOLOR": "1",
        PLAYBOOKS_VARIABLE: ways.playbooks,
        EVENTS_FD_VARIABLE: str(events_fd),
        "LC_ALL": "C.UTF-8",
    }


def argv(ways: Ways, plan: Plan, inventory_path: str, variables_path: str) -> list[str]:
    """The command line: the tree's own site.yml, which only imports ours.

    The way back takes ours, since the tree's may be what failed; unless the tree has a word in it.
    """
    site = os.path.join(ways.playbooks if _goes_back_alone(plan) else plan.tree, "site.yml")
    command = [
        ways.playbook_program,
        "--inventory", inventory_path,
        "--extra-vars", f"@{variables_path}",
    ]  # fmt: skip
    if plan.check:
        command += ["--check", "--diff"]
    return [*command, site]


def write_inputs(
    ways: Ways, plan: Plan, plan_path: str, only: frozenset[str] | None = None
) -> tuple[str, str]:
    """Write configuration, inventory and variables for the run; returns the last two paths."""
    directory = plan.directory
    _link_group_vars(plan)
    _write(os.path.join(directory, "ansible.cfg"), configuration(ways, plan))
    inventory_path = os.path.join(directory, f"inventory-{plan.mode}.yml")
    _write(inventory_path, json.dumps(inventory(ways, plan, only), indent=1))
    variables_path = os.path.join(directory, f"variables-{plan.mode}.json")
    _write(variables_path, json.dumps(extra_vars(ways, plan, plan_path), indent=1))
    return inventory_path, variables_path


def _link_group_vars(plan: Plan) -> None:
    """Let Ansible find the tree's ``group_vars`` where it looks: beside the inventory.

    Not on the way back, where they may be what failed; unless the tree has a word in it.
    """
    theirs = os.path.join(plan.tree, GROUP_VARS)
    here = os.path.join(plan.directory, GROUP_VARS)
    if os.path.islink(here):
        os.unlink(here)
    wanted = not _goes_back_alone(plan) and os.path.isdir(theirs) and not os.path.islink(theirs)
    if wanted:
        os.symlink(theirs, here)


def _goes_back_alone(plan: Plan) -> bool:
    return plan.mode == BACK and undo_of(plan) is None


def _write(path: str, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
