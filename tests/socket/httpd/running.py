"""A real server on a real socket in a thread, and a peer that says exactly the bytes it is told."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from fleet_agent.httpd.answer import json_response
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.listen import listen_tcp, listen_unix
from fleet_agent.httpd.loop import Loop
from fleet_agent.httpd.router import Route, Router
from fleet_agent.httpd.server import Server
from fleet_agent.httpd.tls import Secured
from fleet_agent.httpd.types import Request, Response
from fleet_agent.limits import Limits

PATIENCE_SECONDS = 20
NONE: Mapping[str, float] = {}
T = TypeVar("T")


def health(request: Request) -> Response:
    """A cheap route."""
    return json_response(200, {"status": "pass"})


def echo(request: Request) -> Response:
    """What arrived, as the handler saw it."""
    return json_response(
        200,
        {
            "method": request.method,
            "path": request.path,
            "query": list(request.query),
            "body": request.body.decode("latin-1"),
            "listener": request.listener,
            "kind": request.peer.kind,
            "uid": request.peer.uid,
        },
    )


USUAL = (Route("GET", "/health", health), Route("POST", "/echo", echo), Route("GET", "/echo", echo))


class Running:
    """A server with its loop in a thread. Limits are given by name."""

    def __init__(
        self,
        routes: Iterable[Route] = USUAL,
        *,
        unix: str = "",
        limits: Mapping[str, float] = NONE,
        loop: Loop | None = None,
        tls: tuple[ssl.SSLContext | None, ssl.SSLContext] | None = None,
    ) -> None:
        self.loop = loop or Loop()
        self.server = Server(self.loop, Limits(limits))
        listening = listen_unix(unix) if unix else listen_tcp("127.0.0.1", 0)
        self.place = listening.getsockname()
        self.family = listening.family
        self.tls = tls  # what the server has, and what its clients trust
        secured = None if tls is None else lambda: Secured(self.tls[0] if self.tls else None)
        self.server.add_listener(listening, "gateway", Router(routes), secured)
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        try:
            self.server.serve_forever()
        except BaseException as error:  # noqa: BLE001 (shown by whoever waits for the end)
            self.failure = error

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.thread.is_alive():
            self.server.shutdown()
        self.ended()
        self.server.server_close()
        self.loop.close()

    def ended(self) -> None:
        """Wait until ``serve_forever`` has returned."""
        self.thread.join(PATIENCE_SECONDS)
        assert not self.thread.is_alive(), "the loop did not end"

    def on_loop(self, call: Callable[[], T]) -> T:
        """The result of ``call``, made on the loop's thread."""
        got: list[T] = []
        done = threading.Event()

        def run() -> None:
            try:
                got.append(call())
            finally:
                done.set()

        self.loop.call_soon_threadsafe(run)
        assert done.wait(PATIENCE_SECONDS), "the loop does not turn"
        return got[0]

    def until(self, true: Callable[[], bool]) -> None:
        """Wait until ``true``, asked on the loop's thread, is."""
        for _ in range(PATIENCE_SECONDS * 100):
            if self.on_loop(true):
                return
            threading.Event().wait(0.01)
        raise AssertionError("it never became true")

    def connect(self) -> Peer:
        """A new connection."""
        connected = socket.socket(self.family, socket.SOCK_STREAM)
        connected.settimeout(PATIENCE_SECONDS)
        connected.connect(self.place)
        if self.tls is not None:
            connected = self.tls[1].wrap_socket(connected, server_hostname="127.0.0.1")
        return Peer(connected)

    def say(self, data: bytes) -> list[Answer]:
        """All answers to ``data`` on a connection of its own, whose end is said after it."""
        with self.connect() as peer:
            peer.send(data)
            peer.end()
            return peer.rest()

    def get(self, path: str = "/health") -> Answer:
        """The answer to a GET on a connection of its own."""
        (answer,) = self.say(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return answer


class Answer(NamedTuple):
    """One answer, read by other code than the server's own."""

    status: int
    fields: dict[str, str]
    body: bytes


class Peer:
    """The other end of a connection, for bytes that no decent client would send."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self._data = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send; a server that has closed already is no fault of the caller's."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def end(self) -> None:
        """Say that nothing more will come."""
        with contextlib.suppress(OSError):
            # Of TCP: in TLS, Python's shutdown would also forget how to decrypt what comes still.
            socket.socket.shutdown(self.socket, socket.SHUT_WR)

    def answer(self, *, bare: bool = False) -> Answer | None:
        """The next answer, None at the end; ``bare``: it belongs to a HEAD."""
        while b"\r\n\r\n" not in self._data:
            if not self._more():
                assert not self._data, f"half an answer: {self._data!r}"
                return None
        head, self._data = self._data.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        status = int(first.split(" ")[1])
        length = 0 if bare or status < 200 or status == 204 else int(fields["content-length"])
        while len(self._data) < length:
            assert self._more(), "the connection ended inside a body"
        body, self._data = self._data[:length], self._data[length:]
        return Answer(status, fields, body)

    def got(self) -> Answer:
        """The next answer, which must come."""
        answer = self.answer()
        assert answer is not None, "the connection ended"
        return answer

    def rest(self) -> list[Answer]:
        """All further answers until the server closes."""
        return list(iter(self.answer, None))

    def closed(self) -> bool:
        """Wait for the server's close; whether nothing came before it."""
        return not self._more() and not self._data

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self._data += data
        return bool(data)


class Waiting:
    """A handler whose answers are given by the test."""

    def __init__(self) -> None:
        self.asked: list[tuple[Request, Deferred]] = []

    def __call__(self, request: Request) -> Deferred:
        deferred = Deferred()
        self.asked.append((request, deferred))
        return deferred

    def resolve(self, number: int, status: int = 202) -> None:
        """Answer the request that came as ``number``; on the loop's thread."""
        request, deferred = self.asked[number]
        deferred.resolve(json_response(status, request.path))
