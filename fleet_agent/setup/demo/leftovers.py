"""Processes that still run from a demo's place: found by their command lines, and ended.

A node's own timer, or a phase whose caller was killed, belongs to no supervisor of ours.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Final

_PATIENCE_SECONDS: Final = 3.0
_PAUSE_SECONDS: Final = 0.05


def running_from(place: Path) -> list[int]:
    """The pids of this user's processes that name a path below ``place``, without this one."""
    mark = os.fsencode(place) + b"/"
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if entry.stat().st_uid == os.getuid() and mark in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended meanwhile, or is nobody's business
    return found


def end(place: Path) -> int:
    """End them all: SIGTERM, then SIGKILL after a few seconds. How many there were."""
    pids = running_from(place)
    limit = time.monotonic() + _PATIENCE_SECONDS
    _send(pids, signal.SIGTERM)
    while (left := running_from(place)) and time.monotonic() < limit:
        time.sleep(_PAUSE_SECONDS)
    _send(left, signal.SIGKILL)
    return len(pids)


def _send(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue  # it ended meanwhile
