"""Base trees: what a machine holds before anybody touched it, built once a suite and cached.

A tree is never changed after it is built: nodes put an overlay of their own above it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .shell import LabError, call, mounts_below
from .tools import locked

CACHE = Path(os.environ.get("FLEET_LAB_CACHE", "/var/cache/fleet-agent-lab"))
SUITES = {"debian12": "bookworm", "debian13": "trixie"}
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "python3",
    "python3-venv",
    "iproute2",
    "iputils-ping",
    "curl",
    "ca-certificates",
    "sudo",
    "git",
    # Units in a user's scope exist only with these two:
    "libpam-systemd",
    "dbus-user-session",
    # A daemon whose clock is wrong:
    "faketime",
)
RECIPE = 2
BUILD_LIMIT_S = 900.0
# Nobody answers there and the operator's side drops what is sent to it, as behind a firewall:
# a lookup on a node takes its full time, so a product that needs DNS is found out.
DEAD_NAMESERVER = "192.0.2.53"


@dataclass(frozen=True)
class Key:
    """The lab's ssh key pair, by the path of its private half."""

    private: Path

    @property
    def public(self) -> str:
        """The public half as one line of authorized_keys."""
        return self.private.with_name(self.private.name + ".pub").read_text().strip()


def lab_key(cache: Path = CACHE) -> Key:
    """The key pair that every tree lets in as root, made at the first call."""
    private = cache / "id_ed25519"
    with locked(cache / "key.lock"):
        if not private.exists():
            call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(private)])
    return Key(private)


def tree_name(system: str, key: Key) -> str:
    """The directory name of a tree: its suite and a digest of all that goes into it."""
    parts = json.dumps([RECIPE, SUITES[system], PACKAGES, DEAD_NAMESERVER, key.public])
    return f"{SUITES[system]}-{hashlib.sha256(parts.encode()).hexdigest()[:12]}"


def base_tree(system: str, cache: Path = CACHE) -> Path:
    """The tree of `system` ("debian12", "debian13"), built (a minute) when not cached."""
    if system not in SUITES:
        raise LabError(f"no such system: {system} (there are: {', '.join(SUITES)})")
    key = lab_key(cache)
    tree = cache / tree_name(system, key)
    with locked(cache / f"{SUITES[system]}.lock"):
        if not tree.exists():
            building = cache / f"{tree.name}.building"
            _clear(building)
            _debootstrap(SUITES[system], building)
            _make_bare(building, key)
            building.rename(tree)
    return tree


def base_trees(systems: Iterable[str], cache: Path = CACHE) -> dict[str, Path]:
    """The trees of all `systems`, those that are missing built side by side."""
    wanted = sorted(set(systems))
    with ThreadPoolExecutor(len(wanted)) as pool:
        return dict(zip(wanted, pool.map(lambda one: base_tree(one, cache), wanted), strict=True))


def _clear(building: Path) -> None:
    """Remove what an interrupted build left, its /proc unmounted first."""
    for mount in reversed(mounts_below(building)):
        call(["umount", mount])
    if building.exists():
        shutil.rmtree(building)


def _debootstrap(suite: str, tree: Path) -> None:
    argv = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(tree)]
    call(argv, timeout_s=BUILD_LIMIT_S, env={"LC_ALL": "C"})


def _make_bare(tree: Path, key: Key) -> None:
    """Take out what identifies the builder or would be the same on all machines; let the lab in."""
    (tree / "etc/machine-id").write_text("")
    # systemd takes an empty machine id from here otherwise, and all nodes would share it.
    (tree / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    (tree / "etc/hostname").unlink(missing_ok=True)
    (tree / "etc/resolv.conf").unlink(missing_ok=True)
    (tree / "etc/resolv.conf").write_text(f"nameserver {DEAD_NAMESERVER}\n")
    for host_key in (tree / "etc/ssh").glob("ssh_host_*"):
        host_key.unlink()
    packages = (tree / "var/cache/apt").rglob("*.deb")
    for leftover in [*packages, *(tree / "var/lib/apt/lists").iterdir()]:
        if leftover.is_file():
            leftover.unlink()
    ssh = tree / "root/.ssh"
    ssh.mkdir(mode=0o700, exist_ok=True)
    authorized = ssh / "authorized_keys"
    authorized.write_text(key.public + "\n")
    authorized.chmod(0o600)
