"""Ansible by hand, from an operator's checkout: environment and inventory as values. Pure.

Roles, plugins and hosts are the fleet's; who logs in, with which key, is the operator. The play
``site.yml`` is there another one: it asks fleet-deploy for the deploy, and so has its number, its
locks, its way back and its history.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fleet_agent.deploy.ansible import PLAYBOOKS_VARIABLE
from fleet_agent.setup.login import Login
from fleet_agent.setup.machines import Machine

BY_HAND: Final = "by_hand"
# The play asks with the same Python and code that printed the environment.
PYTHON_VARIABLE: Final = "FLEET_AGENT_PYTHON"
CODE_VARIABLE: Final = "FLEET_AGENT_CODE"
CHECKOUT_VARIABLE: Final = "FLEET_AGENT_CHECKOUT"
_FORKS: Final = 50
# Discovery on the node can pick a shim of a version manager; Debian's own Python is known to work.
_NODE_PYTHON: Final = "/usr/bin/python3"


def environment(
    checkout: str, playbooks: str, inventory: str, *, python: str, code: str, nodes: int
) -> dict[str, str]:
    """What ansible-playbook, ansible and ansible-inventory need in their environment.

    ``playbooks`` is our folder of playbooks, ``inventory`` the file of ``inventory_of``; ``code``
    holds the package ``fleet_agent`` that ``python`` runs.
    """
    plugins = f"{playbooks}/plugins"
    return {
        "ANSIBLE_INVENTORY": inventory,
        "ANSIBLE_INVENTORY_ENABLED": "script,yaml",
        "ANSIBLE_ROLES_PATH": f"{playbooks}/roles",
        "ANSIBLE_ACTION_PLUGINS": f"{plugins}/action",
        "ANSIBLE_CALLBACK_PLUGINS": f"{plugins}/callback",
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_FORKS": str(max(_FORKS, nodes)),
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s "
        "-o ServerAliveInterval=5 -o ServerAliveCountMax=3",
        PLAYBOOKS_VARIABLE: f"{playbooks}/{BY_HAND}",
        PYTHON_VARIABLE: python,
        CODE_VARIABLE: code,
        CHECKOUT_VARIABLE: checkout,
    }


def inventory_of(fleet: Sequence[Machine]) -> dict[str, Any]:
    """The inventory (JSON is YAML): groups ``nodes`` and ``orchestrator``; the operator logs in."""
    return {
        "all": {
            "children": {
                "nodes": {"hosts": {one.login.host: _variables(one) for one in fleet}},
                "orchestrator": {
                    "hosts": {one.login.host: {} for one in fleet if one.orchestrator}
                },
            }
        }
    }


def _variables(machine: Machine) -> dict[str, Any]:
    login = machine.login
    values: dict[str, Any] = {
        "ansible_host": login.host,
        "ansible_port": login.port,
        "ansible_become": login.user != "root",
        "ansible_python_interpreter": _NODE_PYTHON,
        "ansible_ssh_common_args": shlex.join(_ssh_words(login)),
        "fleet_wizards": list(machine.wizards),
    }
    if login.user:
        values["ansible_user"] = login.user
    if login.identity:
        values["ansible_ssh_private_key_file"] = login.identity
    return values


def _ssh_words(login: Login) -> list[str]:
    settings = list(login.options)
    if login.known_hosts:
        settings += [
            f'UserKnownHostsFile="{login.known_hosts}"',
            f"HostKeyAlias={login.host_key_name}",
        ]
    if login.proxy_jump:
        settings.append(f"ProxyJump={login.proxy_jump}")
    words = ["-F", login.config] if login.config else []
    return [*words, *(word for setting in settings for word in ("-o", setting))]


def shell_lines(values: Mapping[str, str]) -> list[str]:
    """The environment as a shell takes it: ``eval "$(fleet-agent ansible-env)"``."""
    return [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
