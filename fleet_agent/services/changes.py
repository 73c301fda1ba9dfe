"""A bell between threads: something changed, look again. Carries no value."""

from __future__ import annotations

import threading


class Changes:
    """Counts changes; a waiter says which count it has seen, so that none is missed."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0

    @property
    def count(self) -> int:
        """How many changes there were."""
        return self._count

    def ring(self) -> None:
        """Say that something changed."""
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait(self, seen: int, seconds: float) -> int:
        """Wait until there were more than ``seen`` changes, ``seconds`` at most; the count."""
        with self._condition:
            self._condition.wait_for(lambda: self._count > seen, seconds)
            return self._count
