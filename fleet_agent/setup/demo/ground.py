"""Where the demo lies and which ports it takes: values, and the folders made from them."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fleet_agent.deploy.paths import ROOT, SOCKET, STATE, DeployPaths
from fleet_agent.errors import TryAgain
from fleet_agent.setup.names import wizard_names
from fleet_agent.setup.supervisor import call
from fleet_agent.wire import GATEWAY_PORT, HOOK_PORT

COUNT: Final = 3
LOOPBACK: Final = "127.0.0.1"
# The path of a Unix socket ends after 107 bytes; the longest of a node is …/agent.sock.
_LONGEST: Final = 107 - len("/nodes/127.0.0.1/run/fleet-agent/allegro/agent.sock")
_MOST_PORTS_TRIED: Final = 200


@dataclass(frozen=True, slots=True)
class DemoNode:
    """A node: its wizard, the host that the registry calls it, its folder, its gateway's port."""

    wizard: str
    host: str
    root: Path
    port: int

    @property
    def url(self) -> str:
        """The wizard's gateway."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def layout(self) -> dict[str, Any]:
        """What a deploy is told of this node: where it lies, and who stands for systemd."""
        return {
            "root": str(self.root),
            "systemctl": [*caller(self.root), "systemctl"],
            "systemd_run": [],
            "unprivileged": True,
            "python": sys.executable,
        }


@dataclass(frozen=True, slots=True)
class Ground:
    """The demo's place and what lies in it. The first node is the orchestrator's."""

    place: Path
    nodes: tuple[DemoNode, ...]
    hook_port: int
    secret: str

    @property
    def orchestrator(self) -> DemoNode:
        """The node that receives webhooks and deploys."""
        return self.nodes[0]

    @property
    def fleet_ops(self) -> Path:
        """The operator's checkout."""
        return self.place / "fleet-ops"

    @property
    def forge(self) -> Path:
        """The bare repository that stands at the forge."""
        return self.place / "forge" / "ops" / "fleet-ops.git"

    @property
    def logs(self) -> Path:
        """What processes of the demo wrote."""
        return self.place / "logs"

    @property
    def deploy(self) -> DeployPaths:
        """Where fleet-deploy keeps its files, below the orchestrator's folder."""
        root = str(self.orchestrator.root)
        return DeployPaths(root + STATE, root + ROOT, root + SOCKET)

    @property
    def hook_url(self) -> str:
        """Where webhooks go."""
        return f"http://{LOOPBACK}:{self.hook_port}/"


def caller(root: Path) -> list[str]:
    """The command that asks the supervisor of ``root``."""
    return [sys.executable, "-I", "-S", str(Path(call.__file__)), str(root)]


def choose(wanted: Path) -> Ground:
    """Ports that are free now, names, and a place whose sockets can be reached."""
    place = _short_enough(wanted)
    names = wizard_names(COUNT)
    ports = list(_free_ports(GATEWAY_PORT, COUNT))
    hook_port = next(_free_ports(HOOK_PORT, 1))
    hosts = [f"127.0.0.{number}" for number in range(1, COUNT + 1)]
    nodes = tuple(
        DemoNode(name, host, place / "nodes" / host, port)
        for name, host, port in zip(names, hosts, ports, strict=True)
    )
    return Ground(place, nodes, hook_port, secrets.token_hex(32))


def _short_enough(wanted: Path) -> Path:
    place = wanted.resolve()
    if len(os.fsencode(place)) <= _LONGEST:
        place.mkdir(parents=True)
        return place
    # Far down in a file system: the demo lies in /tmp, and what was wanted leads there.
    made = Path(tempfile.mkdtemp(prefix="fleet-demo-", dir="/tmp"))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(made)
    return made


def _free_ports(first: int, count: int) -> Iterator[int]:
    """``count`` free ports of loopback from ``first`` upwards. Raises TryAgain without enough."""
    found = 0
    for port in range(first, first + _MOST_PORTS_TRIED):
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        yield port
        found += 1
        if found == count:
            return
    raise TryAgain(f"no {count} free ports from {first} on", where=LOOPBACK)


def lay(ground: Ground) -> None:
    """Make the folders, and what bootstrap would have put on the orchestrator."""
    for node in ground.nodes:
        for folder in ("opt/fleet-agent", "etc/systemd/system", "var/lib", "run", "srv"):
            (node.root / folder).mkdir(parents=True)
    ground.logs.mkdir()
    paths = ground.deploy
    state = Path(paths.state)
    state.mkdir(mode=0o700)
    _write(state / "layouts.json", {node.host: node.layout for node in ground.nodes})
    _write(Path(paths.first), {"repository": str(ground.forge), "tag": "PROD", "branch": "main"})
    os.symlink(sys.prefix, Path(paths.root) / "venv")
    secret = ground.orchestrator.root / "etc/fleet-agent/hook/secret"
    secret.parent.mkdir(parents=True)
    with open(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(ground.secret)


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
