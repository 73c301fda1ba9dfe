"""A cgroup of its own for each node, in every hierarchy that systemd looks at.

Without it same-named units of two nodes share a cgroup, and stopping one kills the other.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from .shell import call, wait_until

V1_SYSTEMD = Path("/sys/fs/cgroup/systemd")
V2_BESIDE_V1 = Path("/sys/fs/cgroup/unified")
KILL_LIMIT_S = 15.0


def _mounted(kind: str, option: str = "") -> Path | None:
    """Where a file system of this kind (and with this option) is mounted, if it is."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, found, options = line.split()[:4]
        if found == kind and (not option or option in options.split(",")):
            return Path(where)
    return None


def hierarchies() -> list[Path]:
    """The roots that a node needs a cgroup in, mounted where they are not yet.

    One on a machine with cgroup2 alone, otherwise systemd's named v1 hierarchy and cgroup2.
    """
    v2 = _mounted("cgroup2")
    if v2 == Path("/sys/fs/cgroup"):
        return [v2]
    if v2 is None:
        V2_BESIDE_V1.mkdir(parents=True, exist_ok=True)
        call(["mount", "-t", "cgroup2", "cgroup2", str(V2_BESIDE_V1)])
        v2 = V2_BESIDE_V1
    v1 = _mounted("cgroup", "name=systemd")
    if v1 is None:
        V1_SYSTEMD.mkdir(parents=True, exist_ok=True)
        call(["mount", "-t", "cgroup", "-o", "none,name=systemd", "cgroup", str(V1_SYSTEMD)])
        v1 = V1_SYSTEMD
    return [v1, v2]


def make(name: str) -> list[Path]:
    """Make the cgroups of node `name`; the node's first process belongs into each of them."""
    made = [root / name for root in hierarchies()]
    for group in made:
        for part in ("payload", "supervisor"):
            (group / part).mkdir(parents=True, exist_ok=True)
    return made


def found(prefix: str) -> list[Path]:
    """All cgroups at the top of a hierarchy whose names begin with `prefix`."""
    return [group for root in hierarchies() for group in sorted(root.glob(f"{prefix}*"))]


def of(name: str) -> list[Path]:
    """The cgroups of the node `name`, as far as they exist."""
    return [group for root in hierarchies() if (group := root / name).exists()]


def pids(group: Path) -> set[int]:
    """Every process in `group` and below it."""
    seen: set[int] = set()
    for procs in group.rglob("cgroup.procs"):
        try:
            seen.update(int(pid) for pid in procs.read_text().split())
        except OSError:
            continue  # the cgroup went away while we looked
    return seen


def kill(groups: list[Path]) -> None:
    """End every process in `groups` with SIGKILL and wait until the last one is gone."""

    def empty() -> bool:
        left = set[int]().union(*(pids(group) for group in groups))
        for pid in left - {0}:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return not left

    wait_until(empty, timeout_s=KILL_LIMIT_S, what=f"end of the processes in {groups}")


def remove(groups: list[Path]) -> None:
    """Remove empty cgroups from the leaves up."""
    for group in groups:
        inner = [path for path in group.rglob("*") if path.is_dir()]
        for directory in [*sorted(inner, key=lambda path: -len(path.parts)), group]:
            _remove_one(directory)


def _remove_one(directory: Path) -> None:
    """A cgroup stays busy for a moment after its last process."""

    def gone() -> bool:
        try:
            directory.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    wait_until(gone, timeout_s=5.0, what=f"removal of {directory}")
