"""What the lab's fleet is made of: its registry as a value, and the operator's files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .lab import Lab
from .node import Node

HERE = Path(__file__).parent
FILES = HERE / "fleet_ops"
MODEL = "lab/steady-7b"
# Wizard → node, in the order of the registry; the first is the orchestrator.
WIZARDS = {"ezra": "n1", "bezalel": "n2", "allegro": "n3"}
# The unit of bezalel's agent is the operator's own, and was there before fleet-agent.
THEIRS = "stand-in.service"
THEIR_USER = "hermes"
THEIR_UNIT = f"""\
[Unit]
Description=An agent that was here before fleet-agent
[Service]
User={THEIR_USER}
ExecStart=/usr/bin/python3 -u /srv/{THEIR_USER}/stand_in.py /srv/{THEIR_USER}/config.json
Restart=on-failure
RestartSec=200ms
[Install]
WantedBy=multi-user.target
"""
THEIR_OLD_CONFIG = (
    '{"model": "lab/of-before", "soul": "/srv/hermes/soul.md", "note": "written by hand"}\n'
)
LIMITS = {"settle_seconds": 1, "connect_seconds": 3, "confirm_seconds": 30, "ready_seconds": 10}

Registry = dict[str, Any]
Edit = Callable[[Registry], object]
Files = Mapping[str, str | bytes | None]


def home(wizard: str) -> str:
    """Where a wizard's agent has its files."""
    return f"/srv/{THEIR_USER if wizard == 'bezalel' else wizard}"


def unit_of(wizard: str) -> str:
    """The unit of a wizard's own process."""
    return THEIRS if wizard == "bezalel" else f"fleet-wizard@{wizard}.service"


def daemon_of(wizard: str) -> str:
    """The unit of a wizard's daemon."""
    return f"fleet-agent@{wizard}.service"


def places_of(wizard: str) -> dict[str, str]:
    """What the fleet-ops repository places for a wizard: place → mode."""
    at = home(wizard)
    return {f"{at}/stand_in.py": "0755", f"{at}/config.json": "0640", f"{at}/soul.md": "0444"}


def entry(wizard: str, host: str) -> Registry:
    """A wizard with an agent: two files, a soul, a process of its own."""
    at = home(wizard)
    return {
        "host": host,
        "model": MODEL,
        "soul": {"file": f"souls/{wizard}.md", "place": f"{at}/soul.md"},
        "files": [
            {"source": "agents/stand_in.py", "place": f"{at}/stand_in.py", "mode": "0755"},
            {"source": "agents/config.json.j2", "place": f"{at}/config.json", "mode": "0640"},
        ],
        "runtime": {
            "command": ["/usr/bin/python3", "-u", f"{at}/stand_in.py", f"{at}/config.json"]
        },
    }


def host_of(node: Node) -> str:
    """What the registry calls a node: the third one by its IPv6 address."""
    return node.address_v6 if node.name == "n3" else node.address


def registry(lab: Lab) -> Registry:
    """The fleet of three: bezalel's agent runs under the operator's own unit and user."""
    wizards = {name: entry(name, host_of(lab[node])) for name, node in WIZARDS.items()}
    wizards["ezra"] |= {"role": "orchestrator", "capabilities": ["ansible-deploy"]}
    wizards["bezalel"] |= {"runtime": {"unit": THEIRS}, "user": THEIR_USER}
    return {"fleet": "lab", "deploy": {**LIMITS}, "wizards": wizards}


def files() -> dict[str, bytes]:
    """The operator's own files of the repository."""
    found = (
        path for path in FILES.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
    return {path.relative_to(FILES).as_posix(): path.read_bytes() for path in found}
