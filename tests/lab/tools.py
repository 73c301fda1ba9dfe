"""The programs that the lab needs on this machine, installed where they are missing."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .shell import LabError, call

PACKAGE_OF = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "nft": "nftables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "git": "git",
    # Hooks of the Git server run it as an unprivileged user, who may not reach this process's own.
    "/usr/bin/python3": "python3",
    "ping": "iputils-ping",
    "nsenter": "util-linux",
    "sysctl": "procps",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
}
POLICY = Path("/usr/sbin/policy-rc.d")
INSTALL_LIMIT_S = 600.0


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path` (made if absent) over processes and threads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def missing() -> list[str]:
    """The packages whose program is not found, in order and once each."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    absent = (package for tool, package in PACKAGE_OF.items() if not shutil.which(tool, path=path))
    return list(dict.fromkeys(absent))


def require() -> None:
    """Be root with every program in place, or fail saying which; never skip."""
    if os.geteuid() != 0:
        raise LabError("the lab needs root: it makes namespaces, mounts and machines")
    with locked(Path("/run/lock/fleet-agent-lab-tools")):
        packages = missing()
        if packages:
            _install(packages)
        if packages := missing():
            raise LabError(f"still missing after apt-get install: {' '.join(packages)}")


def _install(packages: list[str]) -> None:
    """Install `packages` without letting any of them start a service in this machine."""
    own_policy = not POLICY.exists()
    if own_policy:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        call(["apt-get", "update"], timeout_s=INSTALL_LIMIT_S, env=quiet)
        call(
            ["apt-get", "install", "-y", "--no-install-recommends", *packages],
            timeout_s=INSTALL_LIMIT_S,
            env=quiet,
        )
    finally:
        if own_policy:
            POLICY.unlink()
