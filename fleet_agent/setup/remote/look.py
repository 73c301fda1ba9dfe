"""Looks at a bare machine and changes nothing: what it is, and whether it can carry a wizard.

Understood by Python 3.8 and newer, so that a machine that is too old can say so itself.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import sys
import sysconfig
from typing import Any, BinaryIO

from fleet_agent.setup.remote.ground import read, run

NEEDED = ("systemctl", "sudo", "visudo", "useradd", "groupadd")
NEEDED_BY_ORCHESTRATOR = ("git", "ssh", "ssh-keygen")


def main(given: dict[str, Any], payload: BinaryIO) -> dict[str, Any]:
    """``given``: ``orchestrator`` (bool). Facts only; what they mean the operator's side judges."""
    release = os_release((read("/etc/os-release") or b"").decode("utf-8", "replace"))
    version = run("systemctl", "--version").text if shutil.which("systemctl") else ""
    found = re.search(r"systemd (\d+)", version)
    needed = NEEDED + (NEEDED_BY_ORCHESTRATOR if given["orchestrator"] else ())
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    return {
        "hostname": socket.gethostname(),
        "uid": os.getuid(),
        "system": release.get("ID", ""),
        "like": release.get("ID_LIKE", "").split(),
        "pretty": release.get("PRETTY_NAME", "") or platform.platform(),
        "systemd": int(found.group(1)) if found else 0,
        "booted_by_systemd": os.path.isdir("/run/systemd/system"),
        "python": list(sys.version_info[:3]),
        "implementation": sys.implementation.name,
        "abi": sysconfig.get_config_var("SOABI") or "",
        "machine": platform.machine(),
        "glibc": list(platform.libc_ver()),
        "venv": _has_venv(),
        "missing": [name for name in needed if shutil.which(name, path=path) is None],
        "free_mib": shutil.disk_usage("/opt").free // 2**20 if os.path.isdir("/opt") else -1,
    }


def os_release(text: str) -> dict[str, str]:
    """/etc/os-release as a mapping; quotes are taken off (os-release(5))."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


def _has_venv() -> bool:
    """Whether ``python3 -m venv`` makes environments with pip (Debian packs both apart)."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return False
    return True
