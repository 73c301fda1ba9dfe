"""What an agent on a node needs: its own daemon over its Unix socket, and a record of what it did.

Standard library only, and nothing of the product: it judges it.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import time
from typing import Any

# A daemon that answers nobody for so long is taken for dead, and asked anew.
SECONDS = 8.0


class Unix(http.client.HTTPConnection):
    """HTTP over a Unix socket, one connection as long as it lives."""

    def __init__(self, path: str) -> None:
        super().__init__("agent", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Daemon:
    """The wizard's own daemon. Each thread has an object of its own."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._line: Unix | None = None

    def ask(
        self, method: str, target: str, body: bytes | None = None, media: str = "application/json"
    ) -> tuple[int, Any]:
        """One exchange: status and body, parsed where it is JSON. Raises OSError."""
        if self._line is None:
            self._line = Unix(self._path)
        try:
            self._line.request(method, target, body, {"Content-Type": media} if body else {})
            answer = self._line.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._line.close()
            self._line = None
            raise OSError(f"{type(error).__name__}: {error}") from error
        kind = answer.headers.get("content-type", "")
        return answer.status, json.loads(data) if data and "ndjson" not in kind else data


class Record:
    """Appends events to a file; several threads may. A line is the kernel's when this returns."""

    def __init__(self, path: str, at: str) -> None:
        self._at = at
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, *events: dict[str, Any]) -> None:
        """Write events in this order, with the time."""
        now = round(time.time(), 6)
        lines = (json.dumps({**one, "t": now, "at": self._at}, separators=(",", ":"))
                 for one in events)  # fmt: skip
        data = "".join(line + "\n" for line in lines).encode()
        with self._lock:
            os.write(self._file, data)
