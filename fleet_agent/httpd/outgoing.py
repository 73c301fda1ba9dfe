"""Bytes to one socket, as far as the kernel takes them; the rest waits and is counted.

Not for what is sent or in which order (``connection``).
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from fleet_agent.httpd.loop import Loop

# A peer that takes less than this in a write deadline does not take its answer.
_PROGRESS_BYTES: Final = 64 * 1024


class Outgoing:
    """One connection's outgoing side.

    ``unsent`` is the bytes that wait, ``since`` the time at which the peer last took enough of
    them (None: nothing waits). ``on_taken`` is called when some were taken later, ``on_broken``
    when the connection is no more.
    """

    __slots__ = ("_broken", "_fd", "_loop", "_on_taken", "_socket", "_taken", "_waiting", "since",
                 "unsent")  # fmt: skip

    def __init__(
        self,
        loop: Loop,
        connected: socket.socket,
        on_taken: Callable[[], None],
        on_broken: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._socket = connected
        self._fd = connected.fileno()
        self._on_taken = on_taken
        self._broken = on_broken
        self._waiting: deque[memoryview] = deque()
        self._taken = 0  # bytes taken since ``since``
        self.unsent = 0
        self.since: float | None = None

    def send(self, data: bytes) -> None:
        """Send ``data`` now, or behind what waits already."""
        if self._waiting:
            self._waiting.append(memoryview(data))
            self.unsent += len(data)
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._broken(f"writing: {error.strerror}")
            return
        if sent < len(data):
            self._waiting.append(memoryview(data)[sent:])
            self.unsent = len(data) - sent
            self.since = self._loop.now
            self._taken = 0
            self._loop.add_writer(self._fd, self._writable)

    def stop(self) -> None:
        """Forget what waits; the socket is about to be closed."""
        self._loop.remove_writer(self._fd)
        self._waiting.clear()
        self.unsent = 0
        self.since = None

    def _writable(self) -> None:
        first = self._waiting[0]
        try:
            sent = self._socket.send(first)
        except BlockingIOError:
            return
        except OSError as error:
            self._broken(f"writing: {error.strerror}")
            return
        self.unsent -= sent
        self._taken += sent
        if sent < len(first):
            self._waiting[0] = first[sent:]
        else:
            self._waiting.popleft()
        if not self._waiting:
            self.since = None
            self._loop.remove_writer(self._fd)
        elif self._taken >= _PROGRESS_BYTES:
            self._taken = 0
            self.since = self._loop.now
        self._on_taken()
