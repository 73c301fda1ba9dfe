"""Where fleet-deploy keeps and finds its files. Paths only; nothing is made or opened here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

STATE: Final = "/var/lib/fleet-deploy"
SOCKET: Final = "/run/fleet-agent/deploy.sock"
ROOT: Final = "/opt/fleet-agent"


@dataclass(frozen=True, slots=True)
class DeployPaths:
    """``state`` is fleet-deploy's own directory, ``root`` where releases lie (/opt/fleet-agent)."""

    state: str = STATE
    root: str = ROOT
    socket: str = SOCKET

    @property
    def database(self) -> str:
        """Queue and history."""
        return os.path.join(self.state, "deploys.db")

    @property
    def mirror(self) -> str:
        """The bare mirror of the fleet-ops repository."""
        return os.path.join(self.state, "mirror.git")

    @property
    def runs(self) -> str:
        """What each deploy left, by number."""
        return os.path.join(self.state, "runs")

    def run(self, deploy: int) -> str:
        """What deploy ``deploy`` leaves."""
        return os.path.join(self.runs, str(deploy))

    @property
    def ssh_key(self) -> str:
        """The private key that lets in on the nodes."""
        return os.path.join(self.state, "ssh", "id_ed25519")

    @property
    def git_key(self) -> str:
        """The private half of the forge's read-only deploy key: a forge never sees the other."""
        return os.path.join(self.state, "ssh", "git_ed25519")

    @property
    def known_hosts(self) -> str:
        """The pinned host keys of nodes and of the repository's host."""
        return os.path.join(self.state, "ssh", "known_hosts")

    @property
    def keys(self) -> str:
        """The key store: master key, epochs, tokens' hashes."""
        return os.path.join(self.state, "keys")

    @property
    def authority(self) -> str:
        """The fleet's CA, the wizards' keys and certificates."""
        return os.path.join(self.keys, "tls")

    @property
    def first(self) -> str:
        """Repository, tag and branch before the first release; written by bootstrap."""
        return os.path.join(self.state, "first.json")

    @property
    def current(self) -> str:
        """The link to the orchestrator's current release."""
        return os.path.join(self.root, "current")

    @property
    def venv_bin(self) -> str:
        """Where ansible-playbook and the interpreter with PyYAML lie."""
        return os.path.join(self.root, "venv", "bin")
