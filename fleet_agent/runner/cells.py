"""Where a job lives, so that it can be bounded and ended whole: in a cgroup of its own, or kept.

systemd hands over a part of the cgroup tree (``Delegate=yes``); without one, a keeper holds a
job's processes together, and what may be taken is bounded for each of them alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import resource
import signal
import sys
from collections.abc import Sequence
from typing import Final, Protocol

from fleet_agent.errors import FleetError
from fleet_agent.httpd.loop import Loop
from fleet_agent.runner import keeper
from fleet_agent.runner.bounds import Bounds

CGROUPS: Final = "/sys/fs/cgroup"
_OWN: Final = "runner"
_UNIT: Final = "fleet-exec@"
_WANTED: Final = ("memory", "pids")
_PR_SET_DUMPABLE: Final = 4
_PR_SET_CHILD_SUBREAPER: Final = 36
_AGAIN_SECONDS: Final = 0.02
_TRIES: Final = 250
# Beside a job's processes its account has others: the agent's own, and a person's.
_OTHERS: Final = 512

log = logging.getLogger("fleet_agent.runner")


class CellError(FleetError):
    """No cell can be had."""

    title = "a job has nowhere to run"


class Cell(Protocol):
    """The place of one job."""

    def argv(self, command: Sequence[str]) -> list[str]:
        """What is to be started so that ``command`` runs in here."""

    def enter(self) -> None:
        """In the new process, before its program: bound it. Must not fail halfway."""

    def started(self, pid: int) -> None:
        """The job's first process."""

    def kill(self) -> None:
        """Kill all that is in here, now."""

    def out_of_memory(self) -> bool:
        """Whether something in here was killed for want of memory."""

    def close(self) -> None:
        """The job is over: kill what is left and give the cell back."""


class Cells(Protocol):
    """Makes cells."""

    kind: str

    def cell(self) -> Cell:
        """A new one. Raises CellError."""


def open_cells(loop: Loop, bounds: Bounds, *, delegated: bool) -> Cells:
    """Cgroups where systemd handed some over (``delegated``), else keepers."""
    _hide_from_own_account()
    if delegated:
        try:
            return Cgroups(loop, bounds, _delegated())
        except OSError as error:
            log.warning(
                "no cgroup for jobs (%s): each is held by a keeper, and its limits are those of "
                "single processes", error,
            )  # fmt: skip
    return Keepers(loop, bounds)


class Cgroups:
    """Cells that are cgroups below ``root``, which is ours alone. Raises OSError."""

    kind = "cgroup"

    def __init__(self, loop: Loop, bounds: Bounds, root: str) -> None:
        self._loop = loop
        self._bounds = bounds
        self._root = root
        self._number = 0
        own = os.path.join(root, _OWN)
        os.makedirs(own, exist_ok=True)
        # A cgroup that hands controllers on may hold no process itself.
        _write(os.path.join(own, "cgroup.procs"), str(os.getpid()))
        self._controllers = self._hand_on()
        self._sweep()

    def cell(self) -> CgroupCell:
        self._number += 1
        path = os.path.join(self._root, f"job-{self._number}")
        try:
            os.mkdir(path)
            return CgroupCell(self._loop, path, self._bounds, self._controllers)
        except OSError as error:
            raise CellError(f"no cgroup: {error.strerror}", where=path) from error

    def _hand_on(self) -> frozenset[str]:
        there = _read(os.path.join(self._root, "cgroup.controllers")).split()
        found = [name for name in _WANTED if name in there]
        if found:
            words = " ".join(f"+{name}" for name in found)
            _write(os.path.join(self._root, "cgroup.subtree_control"), words)
        missing = sorted(set(_WANTED) - set(found))
        if missing:
            log.warning(
                "this machine bounds %s by processes, not by jobs (no such cgroup controller)",
                " and ".join(missing),
            )
        return frozenset(found)

    def _sweep(self) -> None:
        """Cells of a runner before us, whose processes systemd has killed."""
        for name in os.listdir(self._root):
            if name.startswith("job-"):
                with contextlib.suppress(OSError):  # not empty yet: it costs nothing
                    os.rmdir(os.path.join(self._root, name))


class CgroupCell:
    """A cgroup of its own."""

    def __init__(self, loop: Loop, path: str, bounds: Bounds, controllers: frozenset[str]) -> None:
        self._loop = loop
        self._path = path
        self._tries = _TRIES
        self._alone: list[tuple[int, int]] = []
        if "memory" in controllers:
            _write(f"{path}/memory.max", str(bounds.memory_bytes))
            _write(f"{path}/memory.oom.group", "1")
            with contextlib.suppress(OSError):  # a kernel without swap accounting
                _write(f"{path}/memory.swap.max", "0")
        else:
            self._alone.append((resource.RLIMIT_DATA, bounds.memory_bytes))
        if "pids" in controllers:
            _write(f"{path}/pids.max", str(bounds.pids))
        else:
            self._alone.append((resource.RLIMIT_NPROC, bounds.pids * bounds.jobs + _OTHERS))
        # Opened here: between fork and exec as little as possible may go wrong.
        self._procs = os.open(f"{path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)

    def argv(self, command: Sequence[str]) -> list[str]:
        return list(command)

    def enter(self) -> None:
        os.write(self._procs, b"0")
        _bound(self._alone)

    def started(self, pid: int) -> None:
        """Nothing to do: it came in by itself."""

    def kill(self) -> None:
        try:
            _write(f"{self._path}/cgroup.kill", "1")
        except FileNotFoundError:  # before Linux 5.14
            for pid in _read(f"{self._path}/cgroup.procs").split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)

    def out_of_memory(self) -> bool:
        try:
            events = _read(f"{self._path}/memory.events")
        except FileNotFoundError:
            return False
        counts = dict(line.split() for line in events.splitlines())
        return counts.get("oom_kill", "0") != "0"

    def close(self) -> None:
        os.close(self._procs)
        self._remove()

    def _remove(self) -> None:
        """A killed process leaves its cgroup a moment later."""
        try:
            self.kill()
            os.rmdir(self._path)
        except OSError as error:
            self._tries -= 1
            if self._tries:
                self._loop.call_later(_AGAIN_SECONDS, self._remove)
            else:
                log.error("%s: cannot be removed: %s", self._path, error.strerror)


class Keepers:
    """Cells whose processes a keeper holds together."""

    kind = "keeper"

    def __init__(self, loop: Loop, bounds: Bounds) -> None:
        self._loop = loop
        self._bounds = bounds
        self._live: set[int] = set()
        # What a killed keeper held becomes ours, and is killed by us.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def cell(self) -> KeptCell:
        return KeptCell(self, self._bounds)

    def begun(self, pid: int) -> None:
        """A keeper is our child now."""
        self._live.add(pid)

    def ended(self, pid: int) -> None:
        """It has ended; if it was killed, what it held is swept up."""
        self._live.discard(pid)
        self._sweep(_TRIES)

    def _sweep(self, tries: int) -> None:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as source:
            strays = [int(word) for word in source.read().split()]
        strays = [pid for pid in strays if pid not in self._live]
        for pid in strays:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
        if strays and tries:
            self._loop.call_later(_AGAIN_SECONDS, lambda: self._sweep(tries - 1))


class KeptCell:
    """A keeper and what it keeps."""

    def __init__(self, keepers: Keepers, bounds: Bounds) -> None:
        self._keepers = keepers
        self._pid = 0
        self._parent = os.getpid()
        self._alone = [
            (resource.RLIMIT_DATA, bounds.memory_bytes),
            (resource.RLIMIT_NPROC, bounds.pids * bounds.jobs + _OTHERS),
        ]

    def argv(self, command: Sequence[str]) -> list[str]:
        script = os.path.realpath(keeper.__file__)
        return [sys.executable, "-I", "-S", script, str(self._parent), *command]

    def enter(self) -> None:
        _bound(self._alone)

    def started(self, pid: int) -> None:
        self._pid = pid
        self._keepers.begun(pid)

    def kill(self) -> None:
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGTERM)

    def out_of_memory(self) -> bool:
        return False  # nobody tells: an allocation was refused, and the program said so or not

    def close(self) -> None:
        self._keepers.ended(self._pid)
        self._pid = 0


def _bound(limits: Sequence[tuple[int, int]]) -> None:
    for what, wanted in limits:
        hard = resource.getrlimit(what)[1]
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(what, (most, most))


def _hide_from_own_account() -> None:
    """A job has our uid: let it not trace us or take our descriptors (the socket among them)."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _delegated() -> str:
    """Our unit's own cgroup. Raises OSError where there is none in the unified hierarchy."""
    for line in _read("/proc/self/cgroup").splitlines():
        number, _, path = line.split(":", 2)
        path = path.removesuffix(f"/{_OWN}")
        # Not a session's or another unit's, which may be writable too: only what was given to us.
        if number == "0" and os.path.basename(path).startswith(_UNIT):
            root = CGROUPS + path
            if os.access(f"{root}/cgroup.procs", os.W_OK):
                return root
            raise PermissionError(f"{root} is not ours")
    raise FileNotFoundError("no cgroup of our own")


def _read(path: str) -> str:
    with open(path, encoding="ascii") as source:
        return source.read()


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as target:
        target.write(text)
