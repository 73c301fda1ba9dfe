"""The room's log, imported when there is something to say: ``logging`` costs 3 ms of a start."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging


def log() -> logging.Logger:
    """The logger of this room."""
    import logging

    return logging.getLogger("fleet_agent.httpd")
