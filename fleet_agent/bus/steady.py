"""A wall clock that does not jump by itself: lives of messages are time that passes.

Pure but for the clocks passed in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

# Slow corrections (NTP slews) are no jump: they are followed.
_JUMP_SECONDS: Final = 5.0


def _passed() -> float:
    """Seconds since boot, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Steady:
    """``wall`` is Unix seconds, ``passed`` rises with time, sleep included."""

    def __init__(
        self, wall: Callable[[], float] = time.time, passed: Callable[[], float] = _passed
    ) -> None:
        self._wall = wall
        self._passed = passed
        self._offset = wall() - passed()

    def now(self) -> float:
        """Unix seconds, without the jumps since ``jump`` was last asked."""
        return self._passed() + self._offset

    def jump(self) -> float:
        """By how many seconds the wall clock has jumped since this was last asked (0: not at
        all). From now on it is followed; what was reckoned by ``now`` must be moved by it."""
        jump = self._wall() - self._passed() - self._offset
        self._offset += jump
        return jump if abs(jump) > _JUMP_SECONDS else 0.0
