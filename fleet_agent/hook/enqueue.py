"""Lines to fleet-deploy's socket from the daemon's loop: nothing here blocks it.

One connection a line, one answer, one time limit for both. Not for what the lines mean.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import Final

from fleet_agent.deploy import protocol
from fleet_agent.errors import FleetError, RequestError, TryAgain
from fleet_agent.httpd.loop import Loop

Done = Callable[[protocol.Line | FleetError], None]

_MOST_ANSWER_BYTES: Final = 64 * 1024
_BACKLOG_PAUSE_SECONDS: Final = 0.02


class Submitter:
    """Says lines to the service at ``path``; ``most`` at a time."""

    def __init__(self, loop: Loop, path: str, limit_seconds: float, most: int) -> None:
        self._loop = loop
        self._path = path
        self._limit_seconds = limit_seconds
        self._most = most
        self._under_way = 0

    def say(self, line: protocol.Line, done: Done) -> None:
        """Send ``line``; ``done`` gets the answer, or the error, once, on the loop's thread."""
        if self._under_way >= self._most:
            done(TryAgain(f"{self._most} webhooks wait for fleet-deploy already"))
            return
        self._under_way += 1

        def ended(answer: protocol.Line | FleetError) -> None:
            self._under_way -= 1
            done(answer)

        _Exchange(self._loop, self._path, protocol.encode(line), ended).begin(self._limit_seconds)


class _Exchange:
    """One line and its answer."""

    def __init__(self, loop: Loop, path: str, line: bytes, done: Done) -> None:
        self._loop = loop
        self._path = path
        self._left = line
        self._answer = b""
        self._done = done
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._connected = False

    def begin(self, limit_seconds: float) -> None:
        self._timer = self._loop.call_later(
            limit_seconds,
            lambda: self._end(
                TryAgain(
                    f"fleet-deploy did not answer within {limit_seconds:g} s", where=self._path
                )
            ),
        )
        self._pause = self._timer
        self._connect()

    def _connect(self) -> None:
        code = self._socket.connect_ex(self._path)
        if code == errno.EAGAIN:  # its backlog is full: a Unix socket has no EINPROGRESS
            self._pause = self._loop.call_later(_BACKLOG_PAUSE_SECONDS, self._connect)
            return
        if code != 0:
            self._end(
                TryAgain(
                    f"fleet-deploy cannot be reached: {os.strerror(code)}",
                    where=self._path,
                    mend="systemctl status fleet-deploy",
                )
            )
            return
        self._connected = True
        self._loop.add_reader(self._socket.fileno(), self._read)
        self._loop.add_writer(self._socket.fileno(), self._write)

    def _write(self) -> None:
        try:
            sent = self._socket.send(self._left)
        except BlockingIOError:
            return
        except OSError:
            sent = len(self._left)  # refused before it was read; the answer says why
        self._left = self._left[sent:]
        if not self._left:
            self._loop.remove_writer(self._socket.fileno())

    def _read(self) -> None:
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(TryAgain(f"the connection to fleet-deploy broke: {error}"))
            return
        self._answer += data
        if b"\n" in self._answer:
            self._end(_read_answer(self._answer))
        elif not data or len(self._answer) > _MOST_ANSWER_BYTES:
            self._end(TryAgain("fleet-deploy ended the connection without an answer"))

    def _end(self, answer: protocol.Line | FleetError) -> None:
        self._timer.cancel()
        self._pause.cancel()
        if self._connected:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        self._done(answer)


def _read_answer(data: bytes) -> protocol.Line | FleetError:
    try:
        return protocol.checked(protocol.decode(data.partition(b"\n")[0]))
    except RequestError as error:
        return TryAgain(f"fleet-deploy answered with something else: {error.what}")
    except FleetError as error:
        return error
