"""The daemon's side of the runner's socket: one job a call, on the loop, never blocking.

Not for what becomes of the message (``bus.handling``).
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import Final

from fleet_agent.httpd.loop import Loop, Timer
from fleet_agent.httpd.outgoing import Outgoing
from fleet_agent.runner import protocol
from fleet_agent.runner.protocol import LINE_BYTES, NotUnderstood, Order, Outcome, Report

_RECEIVE_BYTES: Final = 64 * 1024


class Gone(Exception):  # noqa: N818 (it reads as what happened)
    """The runner ended in the middle of a job, or says what nobody understands."""


# Gets the outcome; or Gone; or, where the job never began since no runner is to be had, why.
Ended = Callable[[Outcome | Gone | str], None]


class Run:
    """One job under way. ``ended`` is called once, in a later turn, unless it is cancelled.

    ``seconds`` bounds the whole, for a runner that is stuck: its own limit ends the job before.
    """

    def __init__(
        self,
        loop: Loop,
        path: str,
        order: Order,
        given: bytes,
        ended: Ended,
        *,
        seconds: float,
        most_bytes: int,
    ) -> None:
        self._loop = loop
        self._ended: Ended | None = ended
        self._most = most_bytes
        self._data = bytearray()
        self._report: Report | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._outgoing = Outgoing(loop, self._socket, lambda: None, self._broken)
        self._timer: Timer | None = None
        code = self._socket.connect_ex(path)
        if code == 0:
            self._timer = loop.call_later(seconds, lambda: self._broken("it is stuck"))
            loop.add_reader(self._socket.fileno(), self._readable)
            self._outgoing.send(protocol.write_order(order) + given)
        else:
            # EAGAIN: as many wait already as the kernel keeps.
            why = "too many wait" if code == errno.EAGAIN else os.strerror(code)
            loop.call_next_turn(lambda: self._end(f"{path}: {why}"))

    def cancel(self) -> None:
        """Nobody wants it any more; the runner ends the job when it sees the connection's end."""
        self._ended = None
        self._close()

    def _readable(self) -> None:
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._broken(str(error.strerror))
            return
        if not data:
            self._broken("the runner ended in the middle of it")
            return
        self._data += data
        try:
            self._read()
        except NotUnderstood as error:
            self._broken(str(error))

    def _read(self) -> None:
        if self._report is None:
            end = self._data.find(b"\n")
            if end < 0:
                if len(self._data) > LINE_BYTES:
                    raise NotUnderstood("a line that does not end")
                return
            report = protocol.read_report(bytes(self._data[:end]))
            if report.size > self._most:
                raise NotUnderstood(f"{report.size} bytes of output")
            self._report = report
            del self._data[: end + 1]
        if len(self._data) >= self._report.size:
            why, reason, size, seconds = self._report
            self._end(Outcome(why, reason, bytes(self._data[:size]), seconds))

    def _broken(self, why: str) -> None:
        self._end(Gone(why))

    def _end(self, what: Outcome | Gone | str) -> None:
        self._close()
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(what)

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._outgoing.stop()
            self._socket.close()
