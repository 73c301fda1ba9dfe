"""Taking a lab away, also one whose owner was killed: everything is found by its name alone."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from . import cgroups
from .shell import LabError, call, mounts_below, wait_until

NSPAWN = Path("/run/systemd/nspawn")
END_LIMIT_S = 15.0


def sweep(lab: str, place: Path) -> None:
    """Remove every process, mount, cgroup, namespace and directory of the lab; its logs stay."""
    prefix = f"{lab}-"
    groups = cgroups.found(prefix)
    cgroups.kill(groups)
    spaces = namespaces(prefix)
    _end_processes(spaces)
    for mount in reversed(mounts(prefix, place)):
        _unmount(mount)
    cgroups.remove(groups)
    for space in spaces:
        call(["ip", "netns", "delete", space])
    for leftover in NSPAWN.glob(f"*/{prefix}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    for part in ("nodes", "git"):
        shutil.rmtree(place / part, ignore_errors=True)


def leftovers(lab: str, place: Path) -> list[str]:
    """What is there of the lab, one line each; empty after a complete sweep."""
    prefix = f"{lab}-"
    spaces = namespaces(prefix)
    groups = cgroups.found(prefix)
    found = [f"namespace {space}" for space in spaces]
    found += [f"process {pid} in {space}" for space in spaces for pid in _pids(space)]
    found += [f"cgroup {group}" for group in groups]
    found += [f"process {pid} in {group}" for group in groups for pid in cgroups.pids(group)]
    found += [f"mount {mount}" for mount in mounts(prefix, place)]
    directories = [place / "nodes", place / "git"]
    directories += NSPAWN.glob(f"*/{prefix}*")
    found += [f"directory {path}" for path in directories if path.exists()]
    return found


def namespaces(prefix: str) -> list[str]:
    """The network namespaces whose names begin with `prefix`."""
    run = Path("/run/netns")
    return sorted(path.name for path in run.glob(f"{prefix}*")) if run.exists() else []


def mounts(prefix: str, place: Path) -> list[str]:
    """Mount points below `place` and nspawn's own (`/run/systemd/nspawn/…/MACHINE`)."""
    nspawns = mounts_below(NSPAWN)
    return mounts_below(place) + [point for point in nspawns if f"/{prefix}" in point]


def _pids(space: str) -> list[int]:
    said = call(["ip", "netns", "pids", space], check=False)
    return [int(pid) for pid in said.stdout.split()]


def _end_processes(spaces: list[str]) -> None:
    def none_left() -> bool:
        left = [pid for space in spaces for pid in _pids(space)]
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return not left

    wait_until(none_left, timeout_s=END_LIMIT_S, what=f"end of the processes in {spaces}")


def _unmount(point: str) -> None:
    """A mount stays busy for a moment after its last process."""

    def gone() -> bool:
        return call(["umount", point], check=False).returncode == 0

    try:
        wait_until(gone, timeout_s=END_LIMIT_S, what=f"umount {point}", every_s=0.1)
    except LabError:
        call(["umount", "--lazy", point])
