"""The HTTP server: listeners, accepting, deadlines, draining. One thread; see ``loop``.

Built on ``http.server.HTTPServer``; docs/decisions/0001 says what of it stays. Not for routes.
"""

from __future__ import annotations

import errno
import socket
import socketserver
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fleet_agent.errors import FleetError
from fleet_agent.httpd.answer import problem, refuse
from fleet_agent.httpd.connection import Connection, Respond
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.listen import BACKLOG
from fleet_agent.httpd.loop import Loop, Timer
from fleet_agent.httpd.parse import Head
from fleet_agent.httpd.peers import Admission, peer_of, who
from fleet_agent.httpd.router import Router
from fleet_agent.httpd.say import log
from fleet_agent.httpd.shared import Counts, Shared
from fleet_agent.httpd.standard import HTTPServer
from fleet_agent.httpd.types import Peer, Request, Response
from fleet_agent.limits import Limits

if TYPE_CHECKING:
    from fleet_agent.httpd.tls import Secured

_ACCEPTS_A_TURN: Final = 128
# A connection that was just made is given this long for its first request when the server ends.
_FIRST_REQUEST_SECONDS: Final = 0.5
# accept(2): the peer's own troubles, told to whoever accepts it. Anything else is ours.
_PEERS_TROUBLE: Final = (errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.ENETUNREACH,
                         errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT,
                         errno.EPERM)  # fmt: skip
_BREATH_SECONDS: Final = 0.5


class _Listener(NamedTuple):
    socket: socket.socket
    name: str
    body_limit: Callable[[Head], int]
    respond: Respond
    secured: Callable[[], Secured] | None  # a new end of TLS for each connection


class Server(HTTPServer):
    """Serves the routers of its listeners until it is drained or the loop is stopped.

    Of HTTPServer stay the class, ``serve_forever``, ``shutdown`` and ``server_close``; threads,
    handler classes and its own parsing are replaced.
    """

    request_queue_size = BACKLOG

    def __init__(self, loop: Loop, limits: Limits, *, most_connections: int | None = None) -> None:
        # Not TCPServer's: it makes and binds a socket of its own. Ours come bound.
        socketserver.BaseServer.__init__(self, ("", 0), socketserver.BaseRequestHandler)
        self._loop = loop
        self._limits = limits
        self._shared = Shared(loop, limits)
        self._listeners: list[_Listener] = []
        self._admission = Admission(limits, most_connections)
        self._sweeping: Timer | None = None
        self._turned_away_said = 0.0
        loop.after_turn(self._after_turn)

    @property
    def counts(self) -> Counts:
        """What happened so far, and what is open now."""
        return self._shared.counts

    @property
    def draining(self) -> bool:
        """Whether ``drain`` was called."""
        return self._shared.draining

    def add_listener(
        self,
        listening: socket.socket,
        name: str,
        router: Router,
        secured: Callable[[], Secured] | None = None,
    ) -> None:
        """Serve ``router`` on a bound, listening socket; ``name`` is told to handlers.

        With ``secured`` it speaks TLS, and nothing else.
        """
        listening.setblocking(False)
        if listening.family != socket.AF_UNIX:
            # Linux hands this on to the connections; without it small answers wait for an ACK.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        limits = {route: self._limits.whole(name) for route, name in router.body_limits.items()}

        def body_limit(head: Head) -> int:
            known = limits.get((head.method, head.raw_path))
            if known is not None:
                return known
            return self._limits.whole(router.body_limit(head.method, head.raw_path))

        listener = _Listener(listening, name, body_limit, partial(self._respond, router, name),
                             secured)  # fmt: skip
        if not self._listeners:
            self.socket = listening
            self.server_address = listening.getsockname()
        self._listeners.append(listener)
        self._loop.add_reader(listening.fileno(), lambda: self._accept(listener))

    # What HTTPServer promises.

    def server_bind(self) -> None:
        """Never needed: sockets come bound. HTTPServer's would ask DNS for a name (getfqdn)."""
        raise NotImplementedError("bind with httpd.listen and call add_listener")

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Run the loop until ``shutdown``, a drain's end, or the loop's ``stop``."""
        self._loop.run()

    def shutdown(self) -> None:
        """End ``serve_forever``; from any thread. For a graceful end: ``drain``."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    def server_close(self) -> None:
        """Close all sockets. Sockets of systemd stay open in its own hands."""
        self._stop_accepting()
        for connection in list(self._shared.connections):
            connection.close("server closed")

    # Draining.

    def drain(self, seconds: float) -> None:
        """Accept no more, finish what was begun, then stop the loop: after ``seconds`` at last.

        Connections that wait in a socket unit's queue are for the process that comes next.
        """
        if self._shared.draining:
            return
        self._shared.draining = True
        self._stop_accepting()
        for connection in list(self._shared.connections):
            connection.drain(patient=True)
        if self._shared.connections:
            self._loop.call_later(min(seconds, _FIRST_REQUEST_SECONDS), self._drain_silent)
            self._loop.call_later(seconds, self._drain_over)
        else:
            self._loop.stop()

    def _drain_silent(self) -> None:
        for connection in list(self._shared.connections):
            connection.drain()

    def _drain_over(self) -> None:
        left = len(self._shared.connections)
        if left:
            log().warning("%d connections did not end in time; they are closed", left)
        for connection in list(self._shared.connections):
            connection.close("drain is over")
        self._loop.stop()

    def _stop_accepting(self) -> None:
        for listener in self._listeners:
            self._loop.remove_reader(listener.socket.fileno())
            listener.socket.close()
        self._listeners = []

    # Accepting.

    def _accept(self, listener: _Listener) -> None:
        for _ in range(_ACCEPTS_A_TURN):
            try:
                connected, address = listener.socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _PEERS_TROUBLE:
                    continue
                self._breathe(listener, error)
                return
            self._admit(listener, connected, address)

    def _admit(self, listener: _Listener, connected: socket.socket, address: Any) -> None:
        connected.setblocking(False)
        counts = self._shared.counts
        peer = peer_of(connected, address)
        refusal = self._admission.refuse(peer)
        if refusal is not None:
            self._turn_away(connected, peer, refusal, plain=listener.secured is None)
            return
        try:
            connection = Connection(self._shared, connected, peer, listener.body_limit,
                                    listener.respond, self._closed,
                                    listener.secured() if listener.secured else None)  # fmt: skip
        except OSError as error:  # epoll takes no more: counted, its place would be lost for good
            why = f"no more can be watched: {error.strerror}"
            self._turn_away(connected, peer, why, plain=listener.secured is None)
            return
        self._admission.enter(peer)
        counts.open += 1
        counts.accepted += 1
        self._shared.connections.add(connection)
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(self._shared.deadlines.grain, self._sweep)

    def _turn_away(self, connected: socket.socket, peer: Peer, why: str, *, plain: bool) -> None:
        counts = self._shared.counts
        counts.turned_away += 1
        if self._loop.now - self._turned_away_said >= 1:
            self._turned_away_said = self._loop.now
            log().warning("a connection of %s was turned away: %s (%d so far)",
                          who(peer), why, counts.turned_away)  # fmt: skip
        answer = refuse(503, why, headers=(("Retry-After", "1"),))
        try:
            if plain:  # a handshake only to say so is what there is no room for
                connected.send(
                    self._shared.writer.render(answer, minor=1, keep_alive=False, head=False)
                )
            connected.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was told as well as could be; it is closed either way
        connected.close()

    def _breathe(self, listener: _Listener, error: OSError) -> None:
        """Out of descriptors, memory or worse: epoll would report the listener again and again."""
        log().error("no connection can be accepted on %s: %s", listener.name, error.strerror)
        self._loop.remove_reader(listener.socket.fileno())

        def again() -> None:
            if listener in self._listeners:
                self._loop.add_reader(listener.socket.fileno(), lambda: self._accept(listener))

        self._loop.call_later(_BREATH_SECONDS, again)

    def _closed(self, connection: Connection) -> None:
        self._shared.connections.discard(connection)
        self._shared.counts.open -= 1
        self._admission.leave(connection.peer)
        if self._shared.draining and not self._shared.connections:
            self._loop.stop()

    # Turns.

    def _after_turn(self) -> None:
        shared = self._shared
        while shared.settled:
            settled, shared.settled = shared.settled, []
            for connection in settled:
                connection.settle()
        shared.new_turn()

    def _sweep(self) -> None:
        self._sweeping = None
        now = self._loop.now
        for connection in list(self._shared.connections):
            connection.check(now)
        if self._shared.connections:
            self._sweeping = self._loop.call_later(self._shared.deadlines.grain, self._sweep)

    # Handling.

    def _respond(
        self, router: Router, name: str, head: Head, body: bytes, peer: Peer
    ) -> Response | Deferred:
        found = router.find(head.method, head.raw_path)
        if isinstance(found, Response):
            return found
        request = Request(head.method, head.target, head.path, head.query, head.headers, body,
                          peer, name, found.params)  # fmt: skip
        try:
            return found.route.handler(request)
        except FleetError as error:
            if error.http_status >= 500:
                log().warning("%s %s of %s: %s", head.method, head.path, who(peer), error)
            return problem(error)
        except Exception:  # noqa: BLE001 (a broken handler must not end the daemon)
            self._shared.counts.failed += 1
            log().exception("%s %s of %s: the handler broke", head.method, head.path, who(peer))
            return refuse(500, "the handler broke", mend="see the daemon's log")
