"""Signals as calls on the loop: SIGTERM, SIGINT and SIGHUP come in through a pipe of ours.

Python's own handlers run between any two instructions; a turn of the loop is a better moment.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping

from fleet_agent.httpd.loop import Loop


class Signals:
    """Calls ``calls[number]`` on the loop for each such signal, until ``close``."""

    def __init__(self, loop: Loop, calls: Mapping[signal.Signals, Callable[[], object]]) -> None:
        self._loop = loop
        self._calls = {int(number): call for number, call in calls.items()}
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        # A handler in Python is needed for the wake-up to happen; it has nothing to do.
        self._before = {
            number: signal.signal(number, lambda _number, _frame: None) for number in self._calls
        }
        loop.add_reader(self._reader, self._came)

    def close(self) -> None:
        """Give the signals back to whom they belonged before."""
        self._loop.remove_reader(self._reader)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._reader)
        os.close(self._writer)

    def _came(self) -> None:
        for number in os.read(self._reader, 512):
            if number in self._calls:
                self._calls[number]()
