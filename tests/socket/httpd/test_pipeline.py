"""The kept connection to another daemon: answers in order, and an end that is told once."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from fleet_agent.httpd.client import ClientResponse
from fleet_agent.httpd.loop import Loop
from fleet_agent.httpd.pipeline import Address, Pipeline, Times

OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"


class Other:
    """The other side: a listening socket whose conversation is a function in a thread."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address = Address(
            socket.AF_INET, self.listening.getsockname(), "127.0.0.1:8646"
        )  # fmt: skip
        self.asked = b""

    def says(self, talk: Callable[[socket.socket], None]) -> None:
        def serve() -> None:
            line, _ = self.listening.accept()
            with line:
                talk(line)

        threading.Thread(target=serve, daemon=True).start()

    def answers(self, *answers: bytes, after: int = 1) -> None:
        """Wait for ``after`` requests, send the answers, close."""

        def talk(line: socket.socket) -> None:
            while self.asked.count(b"\r\n\r\n") < after:
                self.asked += line.recv(65536)
            for answer in answers:
                line.sendall(answer)

        self.says(talk)


class Caller:
    """A pipeline on a loop of its own."""

    def __init__(self, address: Address, connect: float = 20.0, answer: float = 20.0) -> None:
        self.loop = Loop()
        self.heard: list[tuple[int, bytes]] = []
        self.ended: list[str] = []
        self.line = Pipeline(self.loop, address, Times(connect, answer), self._closed)
        self.loop.call_later(60, self.loop.stop)

    def ask(self, target: str, body: bytes = b"") -> None:
        method = "POST" if body else "GET"
        self.line.send(method, target, (("X-A", "b"),), body, self._answered)

    def run(self) -> str:
        """Until the end; why."""
        self.loop.run()
        self.loop.close()
        assert len(self.ended) == 1
        return self.ended[0]

    def _answered(self, answer: ClientResponse) -> None:
        self.heard.append((answer.status, answer.body))

    def _closed(self, why: str) -> None:
        self.ended.append(why)
        self.loop.stop()


@pytest.fixture
def other() -> Iterator[Other]:
    made = Other()
    yield made
    made.listening.close()


def test_requests_are_pipelined_and_answered_in_their_order(other: Other) -> None:
    other.answers(OK % (3, b"one"), OK % (0, b""), OK % (5, b"three"), after=3)
    caller = Caller(other.address)
    for target in ("/1", "/2", "/3"):
        caller.ask(target)
    assert caller.line.waiting == 3
    assert caller.run() == "the other side closed"
    assert caller.heard == [(200, b"one"), (200, b""), (200, b"three")]
    assert other.asked.startswith(
        b"GET /1 HTTP/1.1\r\nHost: 127.0.0.1:8646\r\nX-A: b\r\n\r\nGET /2"
    )
    assert caller.line.answers == 3


def test_an_answer_may_come_in_single_bytes_and_behind_an_interim_one(other: Other) -> None:
    whole = b"HTTP/1.1 100 Continue\r\n\r\n" + OK % (2, b"ok")
    other.answers(*(whole[at : at + 1] for at in range(len(whole))))
    caller = Caller(other.address)
    caller.ask("/", b"body")
    caller.run()
    assert caller.heard == [(200, b"ok")]
    assert b"Content-Length: 4\r\n" in other.asked


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "speaks no HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "without a length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "too large"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "without a length"),
        (b"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n", "speaks no HTTP"),
        (b"a" * 70_000, "a header that does not end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal", "the other side closed"),
        (b"", "the other side closed"),
        (OK % (0, b"") + OK % (0, b""), "an answer that nobody asked for"),
    ],
)
def test_what_is_no_answer_ends_the_connection(other: Other, answer: bytes, why: str) -> None:
    other.answers(answer)
    caller = Caller(other.address)
    caller.ask("/")
    assert why in caller.run()


def test_an_answer_that_says_close_is_the_last(other: Other) -> None:
    other.answers(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", after=2)
    caller = Caller(other.address)
    caller.ask("/1")
    caller.ask("/2")
    assert caller.run() == "the other side closes"
    assert caller.heard == [(200, b"")]


def test_a_peer_that_never_answers_is_given_up(other: Other) -> None:
    hold = threading.Event()
    other.says(lambda line: (hold.wait(60), None)[1])
    caller = Caller(other.address, answer=0.2)
    caller.ask("/")
    assert caller.run() == "no answer within 0.2 s"
    hold.set()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        place = gone.getsockname()
    caller = Caller(Address(socket.AF_INET, place, "x"))
    caller.ask("/")
    assert "refused" in caller.run()
    assert caller.heard == []


def test_an_address_that_swallows_everything_is_given_up() -> None:
    # A full backlog takes no connection and refuses none.
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        held = [socket.socket() for _ in range(4)]
        for one in held:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        caller = Caller(Address(socket.AF_INET, full.getsockname(), "x"), connect=0.2)
        caller.ask("/")
        assert caller.run() == "connecting: not within 0.2 s"
        for one in held:
            one.close()


def test_a_large_request_to_a_slow_reader_arrives_whole(other: Other) -> None:
    body = bytes(range(256)) * 20_000
    got = bytearray()

    def talk(line: socket.socket) -> None:
        while not got.endswith(body[-1000:]) or len(got) < len(body):
            got.extend(line.recv(100_000))
        line.sendall(OK % (2, b"ok"))

    other.says(talk)
    caller = Caller(other.address)
    caller.ask("/", body)
    caller.run()
    assert caller.heard == [(200, b"ok")]
    assert bytes(got[-len(body) :]) == body
