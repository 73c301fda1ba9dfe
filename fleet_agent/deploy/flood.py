"""Ends the programs of this process when what they say fills it. Effects only.

For Ansible's workers: its connections read whatever a host says into memory, without a bound.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_LOOK_SECONDS: Final = 0.1
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@contextmanager
def bounded(most_bytes: int) -> Iterator[None]:
    """Kill every descendant of this process once it has grown by ``most_bytes`` in the block.

    Whoever reads them then comes to an end, with what was read so far.
    """
    over = threading.Event()
    limit = _resident() + most_bytes
    watch = threading.Thread(target=_watch, args=(over, limit), name="flood", daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()


def _watch(over: threading.Event, limit: int) -> None:
    while not over.wait(_LOOK_SECONDS):
        if _resident() > limit:
            for pid in descendants(os.getpid()):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)


def _resident() -> int:
    """Bytes of memory that this process holds."""
    with open("/proc/self/statm", encoding="ascii") as source:
        return int(source.read().split()[1]) * _PAGE


def descendants(of: int) -> list[int]:
    """The processes that ``of`` started, and theirs, the nearest first."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            children.setdefault(_parent(int(name)), []).append(int(name))
    found = list(children.get(of, ()))
    for pid in found:
        found += children.get(pid, ())
    return found


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as source:
            return int(source.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0  # it has ended
