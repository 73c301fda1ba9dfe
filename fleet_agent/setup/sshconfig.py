"""A configuration of ssh's for the operator's side: a ProxyJump gets no option but this file.

The person's own configuration is read first; ours adds the key and the pinned host keys for jumps.
It lies inside of .git, so it is neither committed nor in anybody's way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fleet_agent.setup.git import WorkTree

FILE: Final = "fleet-agent-ssh-config"


def text(identity: str, known_hosts: str) -> str:
    """The configuration: what the person says, then what bootstrap was told."""
    lines = [
        "# By fleet-agent bootstrap, and written anew by it. ssh takes the first value it finds.",
        "Include ~/.ssh/config /etc/ssh/ssh_config",
        "Match all",
        f'    UserKnownHostsFile ~/.ssh/known_hosts "{known_hosts}"',
        "    BatchMode yes",
        "    ConnectTimeout 10",
    ]
    if identity:
        lines.append(f'    IdentityFile "{identity}"')
    return "\n".join(lines) + "\n"


def path_of(tree: WorkTree) -> Path:
    """Where it lies (or would) for this checkout."""
    return tree.git_directory / FILE


def place(tree: WorkTree, identity: str, known_hosts: Path) -> str:
    """Write it where it differs; its path."""
    path, wanted = path_of(tree), text(identity, str(known_hosts.absolute()))
    if not path.exists() or path.read_text("utf-8") != wanted:
        path.write_text(wanted, "utf-8")
    return str(path)
