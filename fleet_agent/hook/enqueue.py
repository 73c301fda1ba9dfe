"""Lines to fleet-deploy's socket from the daemon's loop: nothing here blocks it.

One connection a line, one answer, one time limit for both, within which a service that is just
starting anew is waited for. Not for what the lines mean.
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
_PAUSE_SECONDS: Final = 0.02
# What passes: its backlog is full (a Unix socket has no EINPROGRESS), or it is just being started.
_PASSING: Final = (errno.EAGAIN, errno.ECONNREFUSED, errno.ENOENT)


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
    """One line and its answer.

    A line whose answer did not come is said again: a delivery that is known deploys nothing anew.
    """

    def __init__(self, loop: Loop, path: str, line: bytes, done: Done) -> None:
        self._loop = loop
        self._path = path
        self._line = line
        self._done = done
        self._why = ""

    def begin(self, limit_seconds: float) -> None:
        self._limit = f"fleet-deploy did not answer within {limit_seconds:g} s"
        self._timer = self._loop.call_later(limit_seconds, self._late)
        self._pause = self._timer
        self._try()

    def _try(self) -> None:
        self._left = self._line
        self._answer = b""
        self._socket: socket.socket | None = None
        try:
            line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:  # no descriptor is free
            self._again(f"cannot be reached: {error.strerror}")
            return
        self._socket = line
        code = line.connect_ex(self._path)
        if code in _PASSING:
            self._again(f"cannot be reached: {os.strerror(code)}")
        elif code != 0:
            self._end(self._trouble(f"fleet-deploy cannot be reached: {os.strerror(code)}"))
        else:
            self._loop.add_reader(line.fileno(), lambda: self._read(line))
            self._loop.add_writer(line.fileno(), lambda: self._write(line))

    def _again(self, why: str) -> None:
        self._why = why
        self._leave()
        self._pause = self._loop.call_later(_PAUSE_SECONDS, self._try)

    def _late(self) -> None:
        self._end(self._trouble(f"{self._limit}: it {self._why}" if self._why else self._limit))

    def _trouble(self, what: str) -> TryAgain:
        return TryAgain(what, where=self._path, mend="systemctl status fleet-deploy")

    def _write(self, line: socket.socket) -> None:
        try:
            sent = line.send(self._left)
        except BlockingIOError:
            return
        except OSError:
            sent = len(self._left)  # refused before it was read; the answer says why
        self._left = self._left[sent:]
        if not self._left:
            self._loop.remove_writer(line.fileno())

    def _read(self, line: socket.socket) -> None:
        try:
            data = line.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self._again(f"broke the connection: {error.strerror}")
            return
        self._answer += data
        if b"\n" in self._answer:
            self._end(_read_answer(self._answer))
        elif len(self._answer) > _MOST_ANSWER_BYTES:
            self._end(self._trouble("fleet-deploy's answer does not end"))
        elif not data:
            self._again("ended the connection without an answer")

    def _leave(self) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _end(self, answer: protocol.Line | FleetError) -> None:
        self._timer.cancel()
        self._pause.cancel()
        self._leave()
        self._done(answer)


def _read_answer(data: bytes) -> protocol.Line | FleetError:
    try:
        return protocol.checked(protocol.decode(data.partition(b"\n")[0]))
    except RequestError as error:
        return TryAgain(f"fleet-deploy answered with something else: {error.what}")
    except FleetError as error:
        return error
