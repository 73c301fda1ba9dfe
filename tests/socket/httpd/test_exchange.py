"""One exchange on the loop with whatever server there is: all framings, all ways to misbehave."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fleet_agent.httpd.client import BadAnswer, ClientResponse, NoAnswer
from fleet_agent.httpd.dial import read_url
from fleet_agent.httpd.exchange import Exchange, NobodyThere
from fleet_agent.httpd.loop import Loop

SECONDS = 30.0


class Server:
    """Takes one connection, reads a request with a body, says ``answer``, closes."""

    def __init__(self, *answer: bytes, act: Callable[[socket.socket], None] | None = None) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}/in?x=1"
        self.got = b""
        self._answer = answer
        self._act = act
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connected, _ = self.listening.accept()
        with connected:
            connected.settimeout(SECONDS)
            while not self.got.endswith(b"body"):
                self.got += connected.recv(65536)
            for part in self._answer:
                connected.sendall(part)
            if self._act is not None:
                self._act(connected)

    def close(self) -> None:
        self._thread.join(SECONDS)
        self.listening.close()


def post(url: str, seconds: float = SECONDS, most: int = 1000) -> Any:
    loop = Loop()
    heard: list[Any] = []

    def came(what: Any) -> None:
        heard.append(what)
        loop.stop()

    Exchange(
        loop, read_url(url), b"a body", came, seconds=seconds, most_bytes=most,
        media="application/json",
    )  # fmt: skip
    loop.run()
    loop.close()
    assert len(heard) == 1
    return heard[0]


@pytest.mark.parametrize(
    "answer",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue",),
        (b"HTTP/1.1 200 OK\r\nConten", b"t-Length: 4\r\n\r\ntr", b"ue"),
        (b"HTTP/1.0 200 OK\r\n\r\ntrue",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ntr\r\n",
         b"2\r\nue\r\n0\r\n\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue",),
    ],
)  # fmt: skip
def test_an_answer_is_read_however_it_is_framed(answer: tuple[bytes, ...]) -> None:
    server = Server(*answer)
    heard = post(server.url)
    server.close()
    assert isinstance(heard, ClientResponse)
    assert (heard.status, heard.body) == (200, b"true")
    assert server.got.startswith(b"POST /in?x=1 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert server.got.endswith(b"\r\nContent-Length: 6\r\nConnection: close\r\n\r\na body")


def test_an_answer_without_a_body_needs_no_end() -> None:
    held = threading.Event()
    server = Server(b"HTTP/1.1 204 No Content\r\n\r\n", act=lambda _: (held.wait(SECONDS), None)[1])
    heard = post(server.url)
    held.set()
    server.close()
    assert (heard.status, heard.body) == (204, b"")


@pytest.mark.parametrize(
    "answer",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000,),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",),
        (b"220 mail.example.org ESMTP\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",),
        (b"x" * 100_000,),
    ],
)
def test_what_is_no_answer_or_too_much_is_refused(answer: tuple[bytes, ...]) -> None:
    server = Server(*answer)
    assert isinstance(post(server.url), BadAnswer)
    server.close()


@pytest.mark.parametrize("answer", [(), (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",)])
def test_a_connection_that_ends_too_early_is_no_answer(answer: tuple[bytes, ...]) -> None:
    server = Server(*answer)
    heard = post(server.url)
    assert isinstance(heard, NoAnswer)
    assert not isinstance(heard, NobodyThere)
    server.close()


def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    held = threading.Event()
    server = Server(act=lambda _: (held.wait(SECONDS), None)[1])
    heard = post(server.url, seconds=0.2)
    held.set()
    server.close()
    assert isinstance(heard, NoAnswer)
    assert "no answer within 0.2 s" in str(heard)


def test_where_nobody_listens_nobody_was_told_anything() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert isinstance(post(f"http://127.0.0.1:{port}/"), NobodyThere)


def test_a_cancelled_exchange_is_never_heard_of() -> None:
    server = Server(b"HTTP/1.1 204 No Content\r\n\r\n")
    loop = Loop()
    heard: list[Any] = []
    exchange = Exchange(
        loop, read_url(server.url), b"a body", heard.append, seconds=SECONDS, most_bytes=10,
        media="application/json",
    )  # fmt: skip
    loop.call_next_turn(exchange.cancel)
    loop.call_later(0.05, loop.stop)
    loop.run()
    loop.close()
    assert heard == []
    with socket.create_connection(server.listening.getsockname()) as other:
        other.sendall(b"body")  # lets the server's thread end
        server.close()
