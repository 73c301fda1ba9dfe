"""Builds a node's release into the run's directory, in preflight, and hands it out afterwards.

Effects: reads the pinned code and the checkout, writes ``runs/N/nodes/HOST``. Which files make a
release is ``release.build``; rendering and secrets are ``rendering``; the code, which is the same
for every node, is read and hashed once, by ``keep_code``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

from fleet_agent.deploy import rendering
from fleet_agent.deploy.plan import NodePlan, Plan
from fleet_agent.deploy.rendering import Render
from fleet_agent.registry import compiled
from fleet_agent.registry.schema import Registry, Wizard
from fleet_agent.release import build as releases
from fleet_agent.release.manifest import Entry, from_json, to_json
from fleet_agent.release.pack import pack as make_pack
from fleet_agent.wire import Role

UNITS: Final = "fleet_agent/share/systemd"
_CODE_PREFIX: Final = "code/"
_PACKAGE_PREFIX: Final = "code/fleet_agent/"
_CODE_FILE: Final = "code.json"


def keep_code(code: str, directory: str) -> None:
    """Keep in the run's ``directory`` what the pinned package unpacked at ``code`` is made of."""
    entries = releases.code_of(_files_below(code, "fleet_agent")).entries
    _write(os.path.join(directory, _CODE_FILE), entries)


def build(plan: Plan, node: NodePlan, render: Render) -> None:
    """Build the release of ``node`` and keep it for the later phases.

    Raises ConfigError naming wizard and file when a source is missing, too large, not plain or
    can't be rendered.
    """
    registry = compiled.read(plan.registry)
    sources = [
        _wizard_source(plan, registry, registry.wizard(name), render) for name in node.wizards
    ]
    built = releases.build(
        plan.fleet,
        sources,
        code=_code(plan),
        registry_json=_registry_json(plan, [source.wizard for source in sources]),
        unit_sources=_files_in(os.path.join(plan.code, UNITS)),
        root=str(node.layout.get("root", "/")),
    )
    blobs = os.path.join(plan.directory, "blobs")
    directory = plan.node_directory(node.host)
    os.makedirs(blobs, mode=0o700, exist_ok=True)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    sha256 = {entry.path: entry.sha256 for entry in built.manifest.files}
    for path, (_, content) in built.tree.items():
        _write_once(os.path.join(blobs, sha256[path]), content)
    _write(os.path.join(directory, "manifest.json"), to_json(built.manifest))


def _registry_json(plan: Plan, wizards: Iterable[Wizard]) -> bytes:
    """What this node knows of the fleet: all of it only where a deploy may be run from."""
    deploys = any(wizard.role is not Role.WORKER for wizard in wizards)
    registry = plan.registry if deploys else compiled.public(plan.registry)
    return json.dumps(registry, indent=1, sort_keys=True).encode() + b"\n"


def manifest(plan: Plan, node: NodePlan) -> Mapping[str, Any]:
    """The manifest of the release that preflight built for ``node``, as JSON."""
    data = _read_json(os.path.join(plan.node_directory(node.host), "manifest.json"))
    return dict(data)


def remember_have(plan: Plan, node: NodePlan, have: object) -> None:
    """Keep which contents ``node`` said it has, so that ``pack`` leaves them out."""
    directory = plan.node_directory(node.host)
    if not os.path.isdir(directory):  # the way back of a run that never came to build for it
        return
    known = [one for one in have if isinstance(one, str)] if isinstance(have, list) else []
    _write(os.path.join(directory, "have.json"), known)


def pack(plan: Plan, node: NodePlan, *, text_only: bool) -> bytes:
    """What ``node`` lacks of its release; with ``text_only`` all of it but the code."""
    wanted = from_json(manifest(plan, node))
    try:
        have = frozenset(_read_json(os.path.join(plan.node_directory(node.host), "have.json")))
    except FileNotFoundError:
        have = frozenset()
    tree = {
        entry.path: (entry.mode, _read(_where(plan, entry)))
        for entry in wanted.files
        if (not _is_code(entry) if text_only else entry.sha256 not in have)
    }
    return make_pack(tree)


def _code(plan: Plan) -> releases.Code:
    kept = _read_json(os.path.join(plan.directory, _CODE_FILE))
    return releases.Code(tuple(Entry(*item) for item in kept), {})


def _is_code(entry: Entry) -> bool:
    return entry.path.startswith(_CODE_PREFIX)


def _where(plan: Plan, entry: Entry) -> str:
    """Where the content of ``entry`` lies here: the package's own where it was unpacked."""
    if entry.path.startswith(_PACKAGE_PREFIX):
        return os.path.join(plan.code, entry.path.removeprefix(_CODE_PREFIX))
    return os.path.join(plan.directory, "blobs", entry.sha256)


def _wizard_source(
    plan: Plan, registry: Registry, wizard: Wizard, render: Render
) -> releases.WizardSource:
    soul = None
    if wizard.soul is not None:
        soul = rendering.read_source(plan, wizard.soul.file, f"wizards.{wizard.name}.soul")
    plain = tuple(file for file in wizard.files if not file.secret)
    files = tuple(rendering.content(plan, wizard.name, file, render) for file in plain)
    hook = None
    if wizard.role == Role.ORCHESTRATOR:
        hook = releases.Hook(
            wizard.listen.address,
            int(registry.deploy.hook_port),
            registry.deploy.tag,
            registry.deploy.repository,
        )
    return releases.WizardSource(
        wizard=wizard._replace(files=plain),
        soul=soul,
        files=files,
        limits=wizard.settings,
        unsigned=registry.unsigned,
        hook=hook,
        secrets=rendering.secret_entries(plan, wizard, render),
    )


def _files_below(directory: str, package: str) -> dict[str, bytes]:
    """The files of the pinned package by their paths, bytecode left out."""
    found: dict[str, bytes] = {}
    for where, directories, names in os.walk(os.path.join(directory, package)):
        directories[:] = sorted(name for name in directories if name != "__pycache__")
        for name in sorted(names):
            path = os.path.join(where, name)
            found[os.path.relpath(path, directory)] = _read(path)
    return found


def _files_in(directory: str) -> dict[str, bytes]:
    return {
        name: _read(os.path.join(directory, name))
        for name in sorted(os.listdir(directory))
        if os.path.isfile(os.path.join(directory, name))
    }


def _read(path: str) -> bytes:
    with open(path, "rb") as source:
        return source.read()


def _read_json(path: str) -> Any:
    return json.loads(_read(path))


def _write(path: str, value: object) -> None:
    _write_once(path, json.dumps(value, separators=(",", ":")).encode(), replace=True)


def _write_once(path: str, data: bytes, *, replace: bool = False) -> None:
    """Write ``path`` whole or not at all: thirty hosts of one run build at the same time."""
    if not replace and os.path.exists(path):
        return
    unfinished = f"{path}.{os.getpid()}"
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(data)
    os.replace(unfinished, path)
