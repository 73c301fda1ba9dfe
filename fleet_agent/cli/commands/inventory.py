"""``fleet-agent inventory``: the registry as a dynamic Ansible inventory (JSON on stdout).

Source of the format: Ansible's "Developing dynamic inventory", script conventions.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from fleet_agent.cli import access
from fleet_agent.cli.output import Output
from fleet_agent.deploy.plan import DEPLOY_USER
from fleet_agent.errors import EXIT_OK, ConfigError
from fleet_agent.registry.schema import Registry, Wizard
from fleet_agent.registry.source import choose, open_registry

# Discovery on the node can pick a shim of a version manager; Debian's own Python is known to work.
_PYTHON: Final = "/usr/bin/python3"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print the registry as a dynamic Ansible inventory: groups nodes, orchestrator."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="all groups and hosts")
    what.add_argument("--host", metavar="H", help="the variables of one host")
    what.add_argument(
        "--path",
        action="store_true",
        help="write it for a person who logs in by hand, and print the file: "
        'ansible-playbook -i "$(fleet-agent inventory --path)" …',
    )
    parser.add_argument("--registry", metavar="FILE", help="default: ./fleet.yaml")


def run(args: argparse.Namespace, out: Output) -> int:
    if args.path:
        return _write(args.registry, out)
    registry = open_registry(choose(args.registry))
    out.value(inventory(registry) if args.list else variables_of(registry, args.host))
    return EXIT_OK


def _write(registry: str | None, out: Output) -> int:
    from fleet_agent.cli.handmade import write_inventory
    from fleet_agent.setup.git import work_tree
    from fleet_agent.setup.machines import Access

    if registry is not None:
        raise ConfigError("--path is for the fleet-ops checkout that it is run in")
    tree = work_tree(Path())
    path, _ = write_inventory(tree, access.completed(tree, Access({})))
    if out.json:
        out.value({"path": str(path.resolve())})
    out.line(str(path.resolve()))
    return EXIT_OK


def inventory(registry: Registry) -> dict[str, Any]:
    """All of it, as ``--list`` prints it; hosts are nodes, in the registry's order."""
    hosts = {host: _variables(host, wizards) for host, wizards in registry.nodes.items()}
    return {
        "nodes": {"hosts": list(hosts)},
        "orchestrator": {"hosts": [registry.orchestrator.host]},
        "_meta": {"hostvars": hosts},
    }


def variables_of(registry: Registry, host: str) -> dict[str, Any]:
    """The variables of one host; none for a host that isn't a node, as Ansible wants it."""
    wizards = registry.nodes.get(host)
    return {} if wizards is None else _variables(host, wizards)


def _variables(host: str, wizards: tuple[Wizard, ...]) -> dict[str, Any]:
    ssh = wizards[0].ssh
    user = ssh.user or DEPLOY_USER
    found: dict[str, Any] = {
        "ansible_host": host,
        "ansible_user": user,
        "ansible_become": user != "root",
        "ansible_port": ssh.port,
        "ansible_python_interpreter": _PYTHON,
        "fleet_wizards": [wizard.name for wizard in wizards],
    }
    if ssh.proxy_jump is not None:
        found["ansible_ssh_common_args"] = f"-o ProxyJump={ssh.proxy_jump}"
    return found
