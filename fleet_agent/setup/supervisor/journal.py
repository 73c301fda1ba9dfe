"""What a node's units said: one file a unit, and journalctl's way of asking for its last lines."""

from __future__ import annotations

import os
import time
from typing import Final

_TAIL_BYTES: Final = 256 * 1024
_KEPT_BYTES: Final = 4 * 1024 * 1024


class Journal:
    """The log files of one node's units below ``directory``."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._marks: dict[str, int] = {}
        os.makedirs(directory, exist_ok=True)

    def _path(self, unit: str) -> str:
        return os.path.join(self._directory, unit.replace("/", "-"))

    def open(self, unit: str) -> int:
        """A descriptor that appends to the log of ``unit``; a log grown too large begins anew."""
        path = self._path(unit)
        if os.path.exists(path) and os.path.getsize(path) > _KEPT_BYTES:
            os.replace(path, path + ".old")
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def say(self, unit: str, sentence: str) -> None:
        """Append a line of the supervisor's own to the log of ``unit``."""
        fd = self.open(unit)
        try:
            os.write(fd, f"{sentence}\n".encode())
        finally:
            os.close(fd)

    def mark(self, unit: str) -> None:
        """Remember where the log of ``unit`` ends now: what follows is of its newest start."""
        path = self._path(unit)
        self._marks[unit] = os.path.getsize(path) if os.path.exists(path) else 0

    def tail(self, unit: str, lines: int, *, newest: bool = False) -> list[str]:
        """The last ``lines`` lines of ``unit``, oldest first; with ``newest`` since its mark."""
        try:
            with open(self._path(unit), "rb") as source:
                source.seek(0, os.SEEK_END)
                begin = self._marks.get(unit, 0) if newest else 0
                source.seek(max(0, begin, source.tell() - _TAIL_BYTES))
                text = source.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return []
        return text.splitlines()[-lines:] if lines > 0 else []


def stamp(at: float) -> str:
    """Unix time as ``systemctl show`` prints it: ``Tue 2026-11-24 07:40:00 UTC``; empty for 0."""
    return time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(at)) if at else ""
