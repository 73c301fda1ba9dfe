"""How many connections this process has descriptors for. Raises its own limit as far as it may.

Strangers get a 503 at the limit; without a descriptor nobody would get anything, nor any file.
"""

from __future__ import annotations

import logging
import resource
from typing import Final

from fleet_agent.limits import Limits

log = logging.getLogger("fleet_agent.services")

# Beside TCP connections: the store and its log, sockets, files that are read, local callers.
_OTHERS: Final = 128
_FEWEST: Final = 8


def connections(limits: Limits) -> int:
    """How many TCP connections may be open at once: ``http_connections``, or what is left of the
    open files that the system allows (ulimit -n), which is then said in the log."""
    wanted = limits.whole("http_connections")
    others = limits.whole("outbox_connections") + _OTHERS
    there = _raised(wanted + others)
    if there >= wanted + others:
        return wanted
    possible = max(_FEWEST, there - min(others, there // 2))
    if possible >= wanted:
        return wanted
    log.warning(
        "%d open files are allowed: %d connections are served at once, not %d (ulimit -n %d)",
        there, possible, wanted, wanted + others,
    )  # fmt: skip
    return possible


def _raised(wanted: int) -> int:
    """The limit of open files, raised to ``wanted`` if the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if most <= soft:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):  # a sandbox may forbid it
        return soft
    return most
