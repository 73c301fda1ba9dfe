"""``fleet-agent ansible-env``: the environment for running Ansible by hand."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.resources import files
from pathlib import Path

import fleet_agent
from fleet_agent.cli import access
from fleet_agent.cli.handmade import write_inventory
from fleet_agent.cli.output import Output
from fleet_agent.errors import EXIT_OK
from fleet_agent.setup import byhand
from fleet_agent.setup.git import work_tree


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Print the environment for Ansible by hand in a fleet-ops checkout: inventory, roles and "
        'plugins. Use it as: eval "$(fleet-agent ansible-env)"; then ansible nodes -m ping, or a '
        "playbook of your own. ansible-playbook site.yml asks fleet-deploy to deploy HEAD, and "
        "with --check for its dry run."
    )
    parser.add_argument(
        "--directory", metavar="DIR", type=Path, default=Path(), help="the fleet-ops checkout"
    )
    access.add_options(parser, "as ssh's configuration says")


def run(args: argparse.Namespace, out: Output) -> int:
    """Write the inventory, print the environment. Raises ConfigError, RegistryError."""
    tree = work_tree(args.directory)
    inventory, nodes = write_inventory(tree, access.access_of(args, tree))
    values = byhand.environment(
        str(tree.path.resolve()),
        os.path.realpath(str(files("fleet_agent") / "share" / "playbooks")),
        str(inventory),
        python=sys.executable,
        code=os.path.dirname(os.path.dirname(os.path.realpath(fleet_agent.__file__))),
        nodes=nodes,
    )
    if out.json:
        out.value(values)
    for line in byhand.shell_lines(values):
        out.line(line)
    return EXIT_OK
