"""The word ``status`` of fleet-deploy's socket: the fleet as the orchestrator sees it.

For operators who have no ssh key of their own on the nodes. Looking is ``observe.snapshot``.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fleet_agent.deploy.authority import Authority
from fleet_agent.deploy.paths import DeployPaths
from fleet_agent.deploy.plan import DEPLOY_USER
from fleet_agent.deploy.prepare import read_layouts
from fleet_agent.errors import CouldNotLook, FleetError
from fleet_agent.limits import Limits
from fleet_agent.observe import snapshot
from fleet_agent.observe.sight import FleetSnapshot
from fleet_agent.registry import compiled
from fleet_agent.registry.schema import Registry, Wizard

# Several who ask at the same moment share one look.
_FRESH_SECONDS: Final = 1.0


class StatusWord:
    """Answers ``{"do": "status"}``; one look at a time."""

    def __init__(self, paths: DeployPaths) -> None:
        self._paths = paths
        self._lock = threading.Lock()
        self._seen: FleetSnapshot | None = None
        self._ended = 0.0

    def __call__(self, line: Mapping[str, Any]) -> Mapping[str, Any]:
        """The snapshot as JSON. Raises CouldNotLook as long as nothing was deployed."""
        with self._lock:
            if self._seen is None or time.monotonic() - self._ended > _FRESH_SECONDS:
                self._seen = self._look()
                self._ended = time.monotonic()
            return self._seen.to_value()

    def _look(self) -> FleetSnapshot:
        registry = self._registry()
        limits = Limits(registry.deploy.limits)
        seconds = snapshot.connect_seconds(limits)
        folders = read_layouts(self._paths.state)

        def ways(wizard: Wizard) -> Sequence[str]:
            return () if wizard.host in folders else ssh_argv(self._paths, wizard, seconds)

        authority = Authority(self._paths.authority)
        return snapshot.look(registry, ways, limits, authorities=authority.bundle)

    def _registry(self) -> Registry:
        path = os.path.join(self._paths.current, "registry.json")
        try:
            with open(path, encoding="utf-8") as source:
                return compiled.read(json.load(source))
        except FileNotFoundError:
            raise CouldNotLook(
                "nothing was deployed yet, so there is no fleet to look at",
                where=path,
                mend="fleet-agent promote, or fleet-agent deploy",
            ) from None
        except (OSError, ValueError, FleetError) as error:
            raise CouldNotLook(f"the registry can't be read: {error}", where=path) from error


def ssh_argv(paths: DeployPaths, wizard: Wizard, connect_seconds: int) -> Sequence[str]:
    """How fleet-deploy logs in on the node of ``wizard``, up to the command."""
    ssh = wizard.ssh
    jump = ["-o", f"ProxyJump={ssh.proxy_jump}"] if ssh.proxy_jump else []
    return [
        "ssh", "-T",
        "-o", "BatchMode=yes",
        "-o", f"ConnectTimeout={connect_seconds}",
        "-o", "StrictHostKeyChecking=yes",
        "-o", f"UserKnownHostsFile={paths.known_hosts}",
        "-o", "GlobalKnownHostsFile=/dev/null",
        "-o", "IdentitiesOnly=yes",
        "-o", "ControlPath=none",
        "-o", "ForwardAgent=no",
        *jump,
        "-i", paths.ssh_key,
        "-p", str(ssh.port),
        "-l", ssh.user or DEPLOY_USER,
        "--",
        wizard.host.strip("[]"),
    ]  # fmt: skip
