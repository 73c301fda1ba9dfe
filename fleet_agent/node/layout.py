"""Every path on a node, below one root, and the programs that stand for systemd there. Pure.

On a machine the root is "/". In the demo a node is a folder, without accounts and owners.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from fleet_agent.errors import FleetError

OPT: Final = "/opt/fleet-agent"
VAR: Final = "/var/lib/fleet-agent"
RUN: Final = "/run/fleet-agent"
ETC: Final = "/etc/fleet-agent"
UNITS: Final = "/etc/systemd/system"
PYTHON: Final = "/usr/bin/python3"


class Layout(NamedTuple):
    """Where a node's directories are. ``systemd_run`` is empty where there is none."""

    root: str = "/"
    systemctl: tuple[str, ...] = ("systemctl",)
    systemd_run: tuple[str, ...] = ("systemd-run",)
    unprivileged: bool = False
    python: str = PYTHON

    def at(self, path: str) -> str:
        """The real path of a node's absolute ``path``."""
        return path if self.root == "/" else self.root.rstrip("/") + path

    @property
    def releases(self) -> str:
        """The directory of releases."""
        return self.at(f"{OPT}/releases")

    def release(self, name: str) -> str:
        """The directory of one release."""
        return f"{self.releases}/{name}"

    @property
    def current(self) -> str:
        """The link to the release in force."""
        return self.at(f"{OPT}/current")

    @property
    def code(self) -> str:
        """The directory of the node's own code."""
        return self.at(f"{OPT}/node")

    def pyz(self, sha256: str) -> str:
        """The node's own code of one version."""
        return f"{self.code}/{sha256}.pyz"

    @property
    def node(self) -> str:
        """Our state on this node."""
        return self.at(f"{VAR}/node")

    @property
    def journal(self) -> str:
        """The journal of this node's deploys."""
        return f"{self.node}/journal.json"

    @property
    def lock(self) -> str:
        """The lock that each phase takes."""
        return f"{self.node}/lock"

    def saved(self, nonce: str) -> str:
        """What one run keeps for its way back."""
        return f"{self.node}/saved/{nonce}"

    @property
    def verified(self) -> str:
        """Which releases were verified when."""
        return f"{self.node}/releases.json"

    @property
    def running(self) -> str:
        """What each runtime unit was started with."""
        return f"{self.node}/running.json"

    @property
    def snapshots(self) -> str:
        """Copies of state directories, made before a deploy."""
        return f"{self.node}/snapshots"

    def socket(self, wizard: str) -> str:
        """The local socket of a wizard's daemon."""
        return self.at(f"{RUN}/{wizard}/agent.sock")

    def to_json(self) -> dict[str, Any]:
        """The layout as it stands in a spec and in a journal."""
        return {
            "root": self.root,
            "systemctl": list(self.systemctl),
            "systemd_run": list(self.systemd_run),
            "unprivileged": self.unprivileged,
            "python": self.python,
        }


class LayoutError(FleetError):
    """A layout that is none."""

    title = "the layout was not understood"


def from_json(data: object) -> Layout:
    """Read a layout; what it does not say is as on a machine. Raises LayoutError."""
    if not isinstance(data, Mapping):
        raise LayoutError("is no JSON object", where="layout")
    unknown = sorted(set(data) - set(Layout._fields))
    if unknown:
        raise LayoutError(f"has the unknown keys {', '.join(unknown)}", where="layout")
    root = data.get("root", "/")
    if not isinstance(root, str) or not root.startswith("/") or ".." in root.split("/"):
        raise LayoutError("root must be an absolute path", where="layout")
    return Layout(
        root=root,
        systemctl=_argv(data.get("systemctl", ["systemctl"])),
        systemd_run=_argv(data.get("systemd_run", ["systemd-run"])),
        unprivileged=bool(data.get("unprivileged", False)),
        python=str(data.get("python", PYTHON)),
    )


def _argv(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise LayoutError("a program is a list of words", where="layout")
    return tuple(value)
