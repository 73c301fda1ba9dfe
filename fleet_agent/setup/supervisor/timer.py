"""A transient timer of `systemd-run --on-active=`: starts one service once, after a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from fleet_agent.setup.supervisor.unitfile import Unit


class Timer:
    """One timer. It belongs to this process: like systemd's transient ones it is gone on reboot."""

    def __init__(self, unit: Unit, delay: float, fire: Callable[[], None]) -> None:
        """``fire`` is called once, ``delay`` seconds after ``start``."""
        self.unit = unit
        self.sub = "dead"
        self.result = "success"
        self.changed_at = 0.0
        self._delay = delay
        self._fire = fire
        self._handle: asyncio.TimerHandle | None = None

    @property
    def active(self) -> str:
        """systemd's ActiveState."""
        return "active" if self.sub == "waiting" else "inactive"

    def start(self) -> None:
        """Begin to wait."""
        self._handle = asyncio.get_running_loop().call_later(self._delay, self._elapsed)
        self._move("waiting")

    def stop(self) -> None:
        """Wait no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._move("dead")

    def _elapsed(self) -> None:
        self._handle = None
        self._move("dead")
        self._fire()

    def _move(self, sub: str) -> None:
        self.sub, self.changed_at = sub, time.time()
