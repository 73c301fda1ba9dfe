"""Whether the soul that the agent reads is the one that was sealed.

Only looks: placing a soul is the deploy's work, and mending one a person's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Final, NamedTuple

from fleet_agent.signing import plain_sha256
from fleet_agent.wire import Health

# A soul is a text; whatever is larger is none, and hashing it would stop the loop.
_MOST_BYTES: Final = 16 * 1024 * 1024


class Sight(NamedTuple):
    """What was seen: a status, why it is not ``pass``, and the seal of what lies there."""

    status: Health
    reason: str
    seal: str


class SoulSeal:
    """Compares the file at ``place`` with ``seal``; reads it again only when it changed.

    ``views`` are the paths by which it can be seen from here, the better one first: the next one
    is tried where the daemon's own user may not look.
    """

    def __init__(self, seal: str, place: str, views: Sequence[str]) -> None:
        self._seal = seal
        self._place = place
        self._views = tuple(views)
        self._stamp: tuple[int, ...] = ()
        self._found = ""

    def look(self) -> Sight:
        """Compare now."""
        for view in self._views:
            try:
                return self._judge(self._read_seal(view))
            except PermissionError:
                continue
            except FileNotFoundError:
                return Sight(Health.FAIL, f"the soul is missing at {self._place}", "")
            except OSError as error:
                return Sight(Health.FAIL, f"the soul at {self._place}: {error.strerror}", "")
        # Seen by verify, which is root; the daemon's own user may not look everywhere.
        return Sight(Health.WARN, f"the soul at {self._place} is out of my sight", "")

    def _judge(self, found: str) -> Sight:
        if found == self._seal:
            return Sight(Health.PASS, "", found)
        instead = f"({found[:12]} instead of {self._seal[:12]})"
        reason = f"the soul at {self._place} is not the sealed one {instead}"
        return Sight(Health.FAIL, reason, found)

    def _read_seal(self, path: str) -> str:
        # Whoever owns the folder may put a pipe there between any two looks: nothing waits for it.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            state = os.fstat(handle)
            if state.st_nlink == 0:
                # The view of a single file stays with it when another one takes its place.
                raise OSError(0, "was replaced since this daemon started; restart it to look anew")
            stamp = (
                state.st_mtime_ns,
                state.st_ctime_ns,
                state.st_size,
                state.st_ino,
                state.st_dev,
            )
            if stamp != self._stamp:
                if not stat.S_ISREG(state.st_mode) or state.st_size > _MOST_BYTES:
                    raise OSError(0, "is no text file")
                self._found = plain_sha256()(os.read(handle, state.st_size)).hexdigest()
                self._stamp = stamp
        finally:
            os.close(handle)
        return self._found
