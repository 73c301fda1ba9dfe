"""Words to systemd (sd_notify(3)): ready, reloading, stopping, still alive.

Without NOTIFY_SOCKET in the environment every word is silently unsaid.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

log = logging.getLogger("fleet_agent.services")


class Notifier:
    """Says words to the service manager. A manager that doesn't listen is logged, once."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        # "@" stands for the zero byte of the abstract namespace.
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._silent = False
        self.watchdog_seconds = _watchdog(environment)

    @property
    def heard(self) -> bool:
        """Whether there is a manager to be told."""
        return bool(self._address)

    def waiting(self, seconds: float, status: str) -> None:
        """Not ready yet and not for a while: be patient for ``seconds`` more."""
        self._say(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}\nSTATUS={status}")

    def ready(self, status: str) -> None:
        """Started, or done with a reload."""
        self._say(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """Reading the settings anew; ``ready`` ends it."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """On the way to the end."""
        self._say("STOPPING=1\nSTATUS=ending what was begun")

    def alive(self) -> None:
        """The watchdog's due word."""
        self._say("WATCHDOG=1")

    def _say(self, text: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.connect(self._address)
                line.sendall(text.encode())
        except OSError as error:
            if not self._silent:
                log.warning("the service manager does not listen: %s", error)
            self._silent = True


def _watchdog(environment: Mapping[str, str]) -> float | None:
    """Seconds within which the manager wants to hear ``alive``; None when it does not care."""
    text = environment.get("WATCHDOG_USEC", "")
    mine = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
    return int(text) / 1e6 if text.isdecimal() and int(text) > 0 and mine else None
