"""Which registry a command means: the file named, ./fleet.yaml, or a node's compiled one."""

from __future__ import annotations

import os
from typing import Final

from fleet_agent.errors import ConfigError
from fleet_agent.registry.schema import Registry

FILE: Final = "fleet.yaml"
INSTALLED: Final = "/opt/fleet-agent/current/registry.json"


def choose(named: str | None, *, directory: str = ".", installed: str = INSTALLED) -> str:
    """The path of the registry to read. Raises ConfigError when there is none."""
    if named is not None:
        return os.path.join(named, FILE) if os.path.isdir(named) else named
    here = os.path.join(directory, FILE)
    for path in (os.path.normpath(here), installed):
        if os.path.exists(path):
            return path
    raise ConfigError(
        "there is no registry here",
        where=f"{here}, {installed}",
        mend="run it in your fleet-ops repository, or name the file with --registry",
    )


def open_registry(path: str, *, sources: bool = False) -> Registry:
    """The registry at ``path``: ``*.json`` is a compiled one and needs no PyYAML.

    With ``sources``, souls and files that it names must lie beside it. Raises RegistryError for
    mistakes in YAML, ConfigError for a compiled registry that can't be read.
    """
    if not path.endswith(".json"):
        from fleet_agent.registry.parse import load

        return load(path, sources=sources)
    from fleet_agent.registry import compiled

    return compiled.read(compiled.load(path))
