"""One phase at a time on a node, and never one of an older deploy than the node has seen.

The lock ends with the process that holds it. Its file says who that is.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from fleet_agent.errors import TryAgain
from fleet_agent.node import durable, journal
from fleet_agent.node.errors import Refused
from fleet_agent.node.layout import Layout

PHASE_UNIT: Final = "fleet-phase-"
_PAUSE_SECONDS: Final = 0.02
_OWN_WAY_BACK_SECONDS: Final = 90.0


class Holder(NamedTuple):
    """Who has the lock, or had it last. ``unit`` is empty where no unit of systemd runs us.

    ``seen`` is the highest deploy number that ever came to this node.
    """

    deploy: int
    nonce: str
    phase: str
    holder: str
    unit: str
    pid: int
    started: int
    seen: int = 0

    def sentence(self) -> str:
        """As it stands in errors."""
        return f"{self.holder or f'deploy {self.deploy}'} (deploy {self.deploy}, {self.phase})"


def me(deploy: int, nonce: str, phase: str, holder: str) -> Holder:
    """This process as a holder."""
    pid = os.getpid()
    return Holder(deploy, nonce, phase, holder, own_unit(), pid, _started(pid) or 0)


@contextmanager
def taken(layout: Layout, who: Holder, wait_seconds: float, *, own: bool = False) -> Iterator[None]:
    """Hold the node's lock as ``who``.

    Raises Refused when a newer deploy, or another run of the same one that is not finished, has
    the node; TryAgain when the lock is not to be had. An older phase is waited for, then ended.
    The node's ``own`` way back is refused by nobody: what is unfinished here is its matter, though
    a newer deploy may have come to look.
    """
    durable.directory(layout.node, 0o700)
    handle = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(layout, handle, who, wait_seconds, own=own)
        last = _holder(handle)
        if not own:
            _refuse_older(layout, last, who)
        _write(handle, who._replace(seen=max(who.deploy, 0 if last is None else last.seen)))
        yield
    finally:
        os.close(handle)


def _acquire(layout: Layout, handle: int, who: Holder, wait_seconds: float, *, own: bool) -> None:
    deadline = time.monotonic() + wait_seconds
    ended = False
    while not _try(handle):
        other = _holder(handle)
        if not own:
            _refuse_older(layout, other, who)
        now = time.monotonic()
        if now > deadline and not ended and not own:
            ended = True
            deadline = now + (wait_seconds if _end(layout, other) else _OWN_WAY_BACK_SECONDS)
        elif now > deadline:
            raise TryAgain(
                f"the node is held by {other.sentence() if other else 'another process'}",
                where=layout.lock,
                mend="deploy again once it is through: systemctl status 'fleet-phase-*'",
            )
        time.sleep(_PAUSE_SECONDS)


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _refuse_older(layout: Layout, last: Holder | None, who: Holder) -> None:
    """Raise Refused when the node belongs to another run than ``who``'s."""
    if last is not None and last.seen > who.deploy:
        other = last.sentence() if last.deploy == last.seen else f"deploy {last.seen}"
        raise _refused(other, last.seen, who, layout)
    seen = journal.read(layout)
    if seen is None:
        return
    told = f"{seen.holder or 'a run'} (deploy {seen.deploy}, {seen.state})"
    if seen.deploy > who.deploy or (
        seen.deploy == who.deploy and seen.nonce != who.nonce and seen.unfinished
    ):
        raise _refused(told, seen.deploy, who, layout)


def _refused(other: str, seen: int, who: Holder, layout: Layout) -> Refused:
    return Refused(
        f"deploy {who.deploy} is refused: {other} came to this node",
        where=layout.lock,
        mend=f"deploy again under a number above {seen}",
        seen=seen,
    )


def _end(layout: Layout, other: Holder | None) -> bool:
    """End the phase that holds the lock; False when it is none that may be ended."""
    if other is None or other.phase not in _MAY_BE_ENDED:
        return False
    if other.unit.startswith(PHASE_UNIT) and layout.systemd_run:
        from fleet_agent import proc

        argv = [*layout.systemctl, "stop", other.unit]
        proc.run(argv, timeout_seconds=30, check=False)
        return True
    _kill(other.pid, other.started)
    return True


def _kill(pid: int, started: int) -> None:
    """End the process that had ``pid`` then; never another that has the number now."""
    if pid <= 1:
        return
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return  # it has ended
    try:
        # Held by its descriptor: from here on the number can't come to mean another process.
        if _started(pid) == started:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


# The node's own way back is never cut short: half a way back is worse than a late one.
_MAY_BE_ENDED: Final = frozenset(
    ("preflight", "baseline", "soul", "deploy", "services", "keys", "verify", "audit")
)


def _holder(handle: int) -> Holder | None:
    text = os.pread(handle, 65536, 0)
    try:
        data: dict[str, Any] = json.loads(text)
        return Holder(**data)
    except (ValueError, TypeError):
        # Nobody yet, or a holder that died while it wrote its name.
        return None


def last_holder(layout: Layout) -> Holder | None:
    """Who had the lock last, for people."""
    try:
        handle = os.open(layout.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return _holder(handle)
    finally:
        os.close(handle)


def _write(handle: int, who: Holder) -> None:
    text = json.dumps(who._asdict()).encode()
    os.pwrite(handle, text, 0)
    os.ftruncate(handle, len(text))


def own_unit() -> str:
    """The unit of systemd that this process runs in, empty if none."""
    return unit_of("self")


def unit_of(pid: int | str) -> str:
    """The unit that a process runs in, by its cgroup; empty if it can't be told."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as source:
            lines = source.read().splitlines()
    except OSError:
        return ""
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "name=systemd"):
            for part in reversed(path.split("/")):
                if part.endswith((".service", ".scope", ".socket")):
                    return part
    return ""


def _started(pid: int) -> int | None:
    """When a process started, in clock ticks after boot: with it a pid names one process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as source:
            return int(source.read().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
