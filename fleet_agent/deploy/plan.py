"""A run's plan: everything that Ansible's side needs to know, as a value and as plan.json.

Pure but for ``write`` and ``load``. What happens on a node is not decided here but in ``node``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from fleet_agent.deploy.rotation import Rotation
from fleet_agent.errors import ConfigError
from fleet_agent.wire import Phase, Role

if TYPE_CHECKING:
    from fleet_agent.registry.schema import Registry, Wizard

PLAN_VERSION: Final = 1
DEPLOY_USER: Final = "fleet"
FORWARD: Final = "forward"
BACK: Final = "back"


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node of a run. ``layout`` and ``connection`` differ from a real machine's in the demo."""

    host: str
    wizards: tuple[str, ...]
    orchestrator: bool
    user: str = DEPLOY_USER
    port: int = 22
    proxy_jump: str = ""
    connection: str = "ssh"
    layout: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """One run for one commit. ``directory`` is the run's own (``runs/N``).

    ``pyz_known`` says whether the nodes are likely to have that code of ours already.
    ``keys`` is the directory of the key store, and ``key_epochs`` are the epochs whose keys this
    run places, the newest first; the keys themselves never stand in a plan. ``rotation`` is where
    that of the CA stood when this run's certificates were made.
    """

    deploy: int
    nonce: str
    mode: str
    check: bool
    commit: str
    ref: str
    fleet: str
    holder: str
    directory: str
    code: str
    tree: str
    registry: Mapping[str, Any]
    limits: Mapping[str, float]
    nodes: tuple[NodePlan, ...]
    pyz: str
    pyz_sha256: str
    pyz_known: bool = True
    keys: str = ""
    key_epochs: tuple[int, ...] = ()
    rotation: Rotation = field(default_factory=Rotation)

    def node(self, host: str) -> NodePlan:
        """The node named ``host``; ConfigError when this run has none of that name."""
        for node in self.nodes:
            if node.host == host:
                return node
        raise ConfigError("this host is not part of the run", where=host)

    def node_directory(self, host: str) -> str:
        """Where this run keeps what it built for ``host``."""
        return os.path.join(self.directory, "nodes", host.replace(":", "_").replace("/", "_"))


REAL_LAYOUT: Final[Mapping[str, Any]] = {
    "root": "/",
    "systemctl": ["systemctl"],
    "systemd_run": ["systemd-run"],
    "unprivileged": False,
}


def plan_nodes(
    registry: Registry, layouts: Mapping[str, Mapping[str, Any]]
) -> tuple[NodePlan, ...]:
    """The nodes of ``registry`` in its order; ``layouts`` are those of hosts that are folders."""
    return tuple(
        _node(host, wizards, layouts.get(host)) for host, wizards in registry.nodes.items()
    )


def _node(host: str, wizards: tuple[Wizard, ...], layout: Mapping[str, Any] | None) -> NodePlan:
    ssh = wizards[0].ssh
    return NodePlan(
        host=host,
        wizards=tuple(wizard.name for wizard in wizards),
        orchestrator=any(wizard.role == Role.ORCHESTRATOR for wizard in wizards),
        user=ssh.user or DEPLOY_USER,
        port=ssh.port,
        proxy_jump=ssh.proxy_jump or "",
        connection="ssh" if layout is None else "local",
        layout=REAL_LAYOUT if layout is None else layout,
    )


def operator_tasks(plan: Plan, noop: str) -> dict[str, str]:
    """For each phase the operator's own task file, ``noop`` where the tree has none.

    On the way back nothing of the operator's runs but ``tasks/undo.yml``, in phase ``deploy``.
    """
    chosen = {phase.value: noop for phase in Phase}
    if plan.mode == BACK:
        return {**chosen, Phase.DEPLOY.value: undo_of(plan) or noop}
    return {name: _task_file(plan, name) or path for name, path in chosen.items()}


def settles_alone(plan: Plan) -> bool:
    """Whether from phase verify on nothing of the operator's own changes a node any more."""
    return not any(_task_file(plan, phase.value) for phase in (Phase.VERIFY, Phase.AUDIT))


def undo_of(plan: Plan) -> str | None:
    """The operator's tasks for the way back, where the tree has some."""
    return _task_file(plan, "undo")


def _task_file(plan: Plan, name: str) -> str | None:
    path = os.path.join(plan.tree, "tasks", f"{name}.yml")
    return path if os.path.isfile(path) and not os.path.islink(path) else None


def write(plan: Plan, path: str) -> None:
    """Write ``plan`` as JSON to ``path`` (0600)."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump({"v": PLAN_VERSION, **asdict(plan)}, out)


def load(path: str) -> Plan:
    """Read a plan back. ConfigError when it is of another version."""
    with open(path, encoding="utf-8") as source:
        data = json.load(source)
    if data.pop("v", None) != PLAN_VERSION:
        raise ConfigError("not a plan of this version of fleet-agent", where=path)
    data["nodes"] = tuple(
        NodePlan(**{**node, "wizards": tuple(node["wizards"])}) for node in data["nodes"]
    )
    data["key_epochs"] = tuple(data.get("key_epochs", ()))
    data["rotation"] = Rotation(**data.get("rotation", {}))
    return Plan(**data)
