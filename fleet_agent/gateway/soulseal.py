"""Whether the soul that the agent reads is the one that was sealed.

Only looks: placing a soul is the deploy's work, and mending one a person's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, Final, NamedTuple

from fleet_agent.wire import Health

# A soul is a text; whatever is larger is none, and hashing it would stop the loop.
_MOST_BYTES: Final = 16 * 1024 * 1024


# Python's own sha256 by its names in 3.12 and 3.11, then whatever there is. hashlib loads OpenSSL:
# 4 MiB and 2 ms of a daemon's start, to be faster at files larger than souls are.
_HOMES: Final = ("_sha2", "_sha256", "hashlib")


class Sight(NamedTuple):
    """What was seen: a status, why it is not ``pass``, and the seal of what lies there."""

    status: Health
    reason: str
    seal: str


class SoulSeal:
    """Compares the file at ``path`` with ``seal``; reads it again only when it changed.

    ``place`` is what people call the file (``path`` may be a view of it inside the sandbox).
    """

    def __init__(self, seal: str, path: str, place: str) -> None:
        self._seal = seal
        self._path = path
        self._place = place
        self._stamp: tuple[int, ...] = ()
        self._found = ""

    def look(self) -> Sight:
        """Compare now."""
        try:
            found = self._read_seal()
        except FileNotFoundError:
            return Sight(Health.FAIL, f"the soul is missing at {self._place}", "")
        except PermissionError:
            # Seen by verify, which is root; the daemon's own user may not look into every home.
            return Sight(Health.WARN, f"the soul at {self._place} is out of my sight", "")
        except OSError as error:
            return Sight(Health.FAIL, f"the soul at {self._place}: {error.strerror}", "")
        if found != self._seal:
            return Sight(
                Health.FAIL,
                f"the soul at {self._place} is not the sealed one "
                f"({found[:12]} instead of {self._seal[:12]})",
                found,
            )
        return Sight(Health.PASS, "", found)

    def _read_seal(self) -> str:
        state = os.stat(self._path)
        stamp = (state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino, state.st_dev)
        if stamp != self._stamp:
            if not stat.S_ISREG(state.st_mode) or state.st_size > _MOST_BYTES:
                raise OSError(0, "is no text file")
            with open(self._path, "rb") as file:
                self._found = _sha256()(file.read(_MOST_BYTES)).hexdigest()
            self._stamp = stamp
        return self._found


@cache
def _sha256() -> Callable[[bytes], Any]:
    for home in _HOMES:
        try:
            found: Callable[[bytes], Any] = import_module(home).sha256
        except ImportError:
            continue
        return found
    raise ImportError("this Python has no sha256")
