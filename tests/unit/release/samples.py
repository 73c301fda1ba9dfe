"""A small node for tests of releases and phases: real registry entries, little code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleet_agent.registry.schema import FileSpec, Listen, Runtime, Soul, Wizard
from fleet_agent.release.build import Built, Hook, WizardSource, build, code_of
from fleet_agent.wire import Role

CODE = {
    "fleet_agent/__init__.py": b'__version__ = "1"\n',
    "fleet_agent/errors.py": b"class FleetError(Exception):\n    pass\n",
    "fleet_agent/cli/main.py": b"def entry() -> None:\n    pass\n",
}
UNITS = {
    name: f"[Unit]\nDescription={name}\n".encode()
    for name in (
        "fleet-agent@.service",
        "fleet-agent@.socket",
        "fleet-hook@.socket",
        "fleet-deploy.service",
        "fleet-deploy.socket",
        "fleet-recover.service",
        "fleet-wizard@.service",
        "fleet-exec@.service",
        "fleet-exec@.socket",
    )
}


def wizard(name: str = "ezra", port: int = 8646, **changes: Any) -> Wizard:
    """A wizard with a soul, a file and a process of its own."""
    entry = Wizard(
        name=name,
        host="192.0.2.10",
        role=Role.WORKER,
        region="",
        model="google/gemma-4-31b-it",
        health_endpoint="",
        listen=Listen("192.0.2.10", port),
        capabilities=(),
        user=name,
        soul=Soul(f"souls/{name}.md", f"/home/{name}/SOUL.md"),
        files=(FileSpec("agents/config.yaml", f"/home/{name}/config.yaml", 0o640),),
        runtime=Runtime(command=("/opt/agent", "--model", "x")),
    )
    return entry._replace(**changes)


def source(
    entry: Wizard | None = None,
    *,
    soul: bytes | None = b"be kind\n",
    config: bytes = b"model: gemma\n",
    hook: Hook | None = None,
) -> WizardSource:
    """What belongs to one wizard."""
    entry = entry or wizard()
    return WizardSource(entry, soul, tuple(config for _ in entry.files), {}, hook=hook)


def built(
    *sources: WizardSource,
    code: Mapping[str, bytes] = CODE,
    units: Mapping[str, bytes] = UNITS,
    registry: bytes = b"{}",
    root: str = "/",
) -> Built:
    """The release of a node with these wizards, one of them by default."""
    return build(
        "timmy",
        sources or (source(),),
        code=code_of(code),
        registry_json=registry,
        unit_sources=units,
        root=root,
    )
