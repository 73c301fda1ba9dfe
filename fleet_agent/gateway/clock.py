"""Whether this machine's clock can be believed: a sane year, and no jump against time that passes.

Pure but for the clocks passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fleet_agent.wire import Health

_FIRST_SANE: Final = 1735689600  # 2025: before this code was written
_LAST_SANE: Final = 4102444800  # 2100
_JUMP_SECONDS: Final = 5.0
_REMEMBER_SECONDS: Final = 600.0


class Clock:
    """Watches the wall clock. ``wall`` is Unix time, ``passed`` rises with time, sleep included."""

    def __init__(self, wall: Callable[[], float], passed: Callable[[], float]) -> None:
        self._wall = wall
        self._passed = passed
        self._offset = wall() - passed()
        self._jump = 0.0
        self._jumped_at: float | None = None

    def look(self) -> tuple[Health, str]:
        """The status now, and why it is not ``pass``. A jump is told for ten minutes."""
        wall, passed = self._wall(), self._passed()
        offset = wall - passed
        if abs(offset - self._offset) > _JUMP_SECONDS:
            self._jump, self._jumped_at = offset - self._offset, passed
        # Slow corrections (NTP slews) are no jump, however much they sum up to.
        self._offset = offset
        if not _FIRST_SANE <= wall <= _LAST_SANE:
            return Health.FAIL, f"the clock says {wall:.0f} s since 1970: set it"
        if self._jumped_at is not None and passed - self._jumped_at < _REMEMBER_SECONDS:
            return Health.WARN, f"the clock jumped by {self._jump:+.0f} s"
        return Health.PASS, ""
