"""The runner's side of its socket: one connection a job, as many at once as there may be.

Who may connect is the socket's mode and owner; what may be run is the release's table of names.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from fleet_agent.errors import FleetError
from fleet_agent.httpd.loop import Loop, Timer
from fleet_agent.httpd.outgoing import Outgoing
from fleet_agent.runner import protocol
from fleet_agent.runner.bounds import Bounds
from fleet_agent.runner.cells import Cells
from fleet_agent.runner.job import Job, Program
from fleet_agent.runner.protocol import LINE_BYTES, NotUnderstood, Order, Outcome, Why

_RECEIVE_BYTES: Final = 64 * 1024
# The daemon is on this machine: what takes it longer than this is stuck.
_TALK_SECONDS: Final = 30.0

log = logging.getLogger("fleet_agent.runner")


class Ground(NamedTuple):
    """What all jobs share. ``table`` says what may be run: a name, an argument list."""

    loop: Loop
    cells: Cells
    bounds: Bounds
    table: Mapping[str, tuple[str, ...]]
    env: Mapping[str, str]
    cwd: str


class Runner:
    """Takes jobs from ``listening`` until ``stop``.

    While as many run as may, nothing more is accepted: the kernel keeps who waits, in order.
    """

    def __init__(self, ground: Ground, listening: socket.socket) -> None:
        self._ground = ground
        self._listening = listening
        self._live: set[_Connection] = set()
        self._accepting = False

    def start(self) -> None:
        """Take jobs from now on."""
        self._listening.setblocking(False)
        self._watch()

    def stop(self) -> None:
        """Take no more, and end those that run; the daemon hands them out again."""
        self._ground.loop.remove_reader(self._listening.fileno())
        self._accepting = True  # so that no end lets more in
        for one in tuple(self._live):
            one.close()

    @property
    def running(self) -> int:
        """Connections that are open."""
        return len(self._live)

    def _watch(self) -> None:
        if not self._accepting and len(self._live) < self._ground.bounds.jobs:
            self._accepting = True
            self._ground.loop.add_reader(self._listening.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            connected, _ = self._listening.accept()
        except BlockingIOError:
            return
        connected.setblocking(False)
        one = _Connection(self._ground, connected, self._over)
        self._live.add(one)
        if len(self._live) >= self._ground.bounds.jobs:
            self._ground.loop.remove_reader(self._listening.fileno())
            self._accepting = False

    def _over(self, one: _Connection) -> None:
        self._live.discard(one)
        self._watch()


class _Connection:
    """One job from its order to its report."""

    def __init__(
        self, ground: Ground, connected: socket.socket, over: Callable[[_Connection], None]
    ) -> None:
        self._ground = ground
        self._socket = connected
        self._over = over
        self._data = bytearray()
        self._order: Order | None = None
        self._job: Job | None = None
        self._reported = False
        self._ended = False
        self._outgoing = Outgoing(ground.loop, connected, self._taken, lambda _: self.close())
        self._timer: Timer = ground.loop.call_later(_TALK_SECONDS, self.close)
        ground.loop.add_reader(connected.fileno(), self._readable)

    def close(self) -> None:
        """End it, and the job with it if there is one."""
        if self._ended:
            return
        self._ended = True
        self._timer.cancel()
        self._ground.loop.remove_reader(self._socket.fileno())
        self._outgoing.stop()
        self._socket.close()
        if self._job is not None:
            self._job.cancel()
        self._over(self)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # gone, whichever way
        if not data:
            if self._job is not None:
                log.warning("%s: the daemon went away, its job is ended", self._id)
            self.close()
            return
        self._data += data
        try:
            self._read()
        except NotUnderstood as error:
            log.error("an order was not understood: %s", error)
            self.close()

    def _read(self) -> None:
        if self._order is None:
            end = self._data.find(b"\n")
            if end < 0:
                if len(self._data) > LINE_BYTES:
                    raise NotUnderstood("a line that does not end")
                return
            order = protocol.read_order(bytes(self._data[:end]))
            if order.size > self._ground.bounds.given_bytes:
                raise NotUnderstood(f"{order.size} bytes for a program", where=order.id)
            self._order = order
            del self._data[: end + 1]
        if self._job is None and not self._reported and len(self._data) >= self._order.size:
            self._run(self._order, bytes(self._data[: self._order.size]))

    def _run(self, order: Order, given: bytes) -> None:
        self._timer.cancel()
        ground = self._ground
        argv = ground.table.get(order.name)
        if argv is None:
            reason = f"the release that this runner is of declares no handler {order.name!r}"
            self._report(Outcome(Why.UNKNOWN, reason, b"", 0.0))
            return
        program = Program(argv, {**ground.env, "FLEET_AGENT_MESSAGE": order.id}, ground.cwd)
        try:
            cell = ground.cells.cell()
            self._job = Job(ground.loop, cell, program, given, ground.bounds, self._report)
        except FleetError as error:
            self._report(Outcome(Why.START, f"{argv[0]} {error.what}", b"", 0.0))

    @property
    def _id(self) -> str:
        return self._order.id if self._order is not None else "no message yet"

    def _report(self, outcome: Outcome) -> None:
        self._job = None
        self._reported = True
        if outcome.why is None:
            log.info("%s: handled in %.3f s", self._id, outcome.seconds)
        else:
            log.warning("%s: not handled: %s", self._id, outcome.reason)
        self._timer = self._ground.loop.call_later(_TALK_SECONDS, self.close)
        self._outgoing.send(protocol.write_report(outcome))
        self._taken()

    def _taken(self) -> None:
        if self._reported and not self._outgoing.unsent:
            self.close()
