"""CPU time and memory of a process and its children, as /proc tells them."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")


class Use(NamedTuple):
    """CPU seconds so far, MiB of resident memory now."""

    cpu: float
    rss_mib: float


def use_of(*pids: int) -> Use:
    """What the processes use, with all that descends from them."""
    cpu = rss = 0.0
    for pid in _with_children(pids):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except FileNotFoundError:
            continue  # it ended in this moment
        cpu += (int(stat[11]) + int(stat[12])) / _TICKS
        rss += pages * resource.getpagesize() / 2**20
    return Use(cpu, rss)


def _with_children(pids: Iterable[int]) -> list[int]:
    found, waiting = [], list(pids)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            waiting += [int(child) for child in children.read_text().split()]
    return found
