"""What the facts about a machine mean: what keeps it from carrying a wizard. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

OLDEST_SYSTEMD: Final = 252  # Debian 12; older ones lack what our units ask for
OLDEST_PYTHON: Final = (3, 11)
SYSTEMS: Final = ("debian", "ubuntu")
ORCHESTRATOR_FREE_MIB: Final = 512
# By which package Debian and Ubuntu bring a program that a machine may lack.
_PACKAGES: Final = {
    "systemctl": "systemd",
    "visudo": "sudo",
    "useradd": "passwd",
    "groupadd": "passwd",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}


def obstacles(facts: Mapping[str, Any], *, orchestrator: bool) -> tuple[str, ...]:
    """A sentence for each thing that must be mended first; none where all is well."""
    found = []
    if facts["system"] not in SYSTEMS and not set(SYSTEMS) & set(facts["like"]):
        found.append(f"is {facts['pretty']}, not a Debian or Ubuntu")
    if facts["uid"] != 0:
        found.append("does not let us become root: log in as root or as a user with sudo")
    if facts["systemd"] < OLDEST_SYSTEMD:
        version = facts["systemd"] or "no systemd"
        found.append(f"has systemd {version}; {OLDEST_SYSTEMD} or newer is needed (Debian 12)")
    elif not facts["booted_by_systemd"]:
        found.append("was not booted by systemd (a container without an init?)")
    python = tuple(facts["python"])
    if python[:2] < OLDEST_PYTHON:
        found.append(
            f"has Python {'.'.join(map(str, python))}; "
            f"{'.'.join(map(str, OLDEST_PYTHON))} or newer is needed (Debian 12, Ubuntu 24.04)"
        )
    missing = {_PACKAGES.get(name, name) for name in facts["missing"]}
    if orchestrator and not facts["venv"]:
        missing.add("python3-venv")
    if missing:
        packages = " ".join(sorted(missing))
        found.append(f"lacks {packages}: apt-get install --yes {packages}")
    if orchestrator and 0 <= facts["free_mib"] < ORCHESTRATOR_FREE_MIB:
        found.append(
            f"has {facts['free_mib']} MiB free at /opt; an orchestrator needs "
            f"{ORCHESTRATOR_FREE_MIB}"
        )
    return tuple(found)


def summary(facts: Mapping[str, Any]) -> str:
    """A machine in a few words: ``Debian GNU/Linux 12 (bookworm), Python 3.11.2, systemd 252``."""
    python = ".".join(map(str, facts["python"]))
    return f"{facts['pretty']}, Python {python}, systemd {facts['systemd']}"
