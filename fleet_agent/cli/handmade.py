"""The inventory for Ansible by hand, in a file of the checkout: the operator logs in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Final

from fleet_agent.registry import parse
from fleet_agent.setup import byhand
from fleet_agent.setup.fleetops import REGISTRY
from fleet_agent.setup.git import WorkTree
from fleet_agent.setup.machines import Access, machines

# Inside of .git: neither committed nor in anybody's way.
_FILE: Final = "fleet-agent-inventory.yml"


def write_inventory(tree: WorkTree, way: Access) -> tuple[Path, int]:
    """The file, and how many nodes are in it. Raises RegistryError."""
    registry = parse.load(str(tree.path / REGISTRY), sources=False)
    fleet = machines(registry, replace(way, default_user=""))
    path = tree.git_directory / _FILE
    path.write_text(json.dumps(byhand.inventory_of(fleet), indent=1) + "\n", "utf-8")
    return path, len(fleet)
