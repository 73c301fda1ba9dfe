"""Log lines to standard error: what comes from elsewhere begins no line, and fills no log.

Only set up by commands that log (``serve``, ``deploy-service``, ``-v``): importing it costs.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Final

_FORMAT: Final = "%(message)s"
# Any stranger can cause these. journald drops all lines of a service that writes 10,000 in 30 s,
# and then what matters is not written either.
_REFUSALS: Final = "fleet_agent.audit"
_REFUSALS_AT_ONCE: Final = 1000.0
_REFUSALS_A_SECOND: Final = 50.0


class OneLine(logging.Formatter):
    """A record as one printable line; a traceback of ours follows it as it is."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        text = super().formatMessage(record)
        if text.isprintable():
            return text
        return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


class Allowance(logging.Filter):
    """Passes so many refusals at once and a second; the next one says how many were left out."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._left = _REFUSALS_AT_ONCE
        self._counted_at = now()
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name != _REFUSALS:
            return True
        passed = (self._now() - self._counted_at) * _REFUSALS_A_SECOND
        self._left = min(_REFUSALS_AT_ONCE, self._left + passed)
        self._counted_at = self._now()
        if self._left < 1:
            self._left_out += 1
            return False
        self._left -= 1
        if self._left_out:
            record.msg = f"{record.msg} ({self._left_out} more refusals were not written)"
            self._left_out = 0
        return True


def to_stderr(level: int) -> None:
    """Let every logger of this process write there, from ``level`` up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(_FORMAT))
    handler.addFilter(Allowance())
    logging.basicConfig(handlers=[handler], level=level)
