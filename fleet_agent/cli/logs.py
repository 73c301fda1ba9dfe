"""Log lines to standard error: what comes from elsewhere can't begin a line of its own.

Only set up by commands that log (``serve``, ``deploy-service``, ``-v``): importing it costs.
"""

from __future__ import annotations

import logging
import sys
from typing import Final

_FORMAT: Final = "%(message)s"


class OneLine(logging.Formatter):
    """A record as one printable line; a traceback of ours follows it as it is."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        text = super().formatMessage(record)
        if text.isprintable():
            return text
        return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def to_stderr(level: int) -> None:
    """Let every logger of this process write there, from ``level`` up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(_FORMAT))
    logging.basicConfig(handlers=[handler], level=level)
