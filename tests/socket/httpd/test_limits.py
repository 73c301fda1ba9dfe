"""Connections, deadlines, backpressure: what costs the server something has an end."""

import errno
import json
import logging
import os
import socket

import pytest

from fleet_agent.httpd.listen import listen_tcp
from fleet_agent.httpd.loop import Call, Loop
from fleet_agent.httpd.router import Route, Router
from fleet_agent.httpd.server import Server
from fleet_agent.httpd.types import Request, Response
from fleet_agent.limits import Limits
from tests.socket.httpd.running import USUAL, Answer, Peer, Running, Waiting

GET = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
WAIT = b"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
HEAD = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n"


def status(answer: Answer | None) -> int | None:
    return None if answer is None else answer.status


def test_hundreds_of_half_open_headers_delay_nobody_and_end_at_their_deadline() -> None:
    with Running(limits={"http_header_seconds": 1.5}) as running:
        slow = [running.connect() for _ in range(400)]
        try:
            for number, peer in enumerate(slow):
                peer.send(b"GET /health HTTP/1.1\r\nHost: a\r\nX-Slow: "[: 1 + number % 40])
            running.until(lambda: running.server.counts.open == 400)
            assert [running.get().status for _ in range(20)] == [200] * 20
            assert {status(peer.answer()) for peer in slow} == {408}
            assert all(peer.closed() for peer in slow)
        finally:
            for peer in slow:
                peer.socket.close()
        running.until(lambda: running.server.counts.open == 0)
        assert running.on_loop(lambda: running.server.counts.timed_out) == 400


def test_a_header_that_trickles_is_not_given_more_time_for_it() -> None:
    with Running(limits={"http_header_seconds": 0.4}) as running, running.connect() as peer:
        peer.socket.settimeout(0.05)
        for byte in GET * 10:
            try:
                peer.socket.send(bytes([byte]))
                if peer.socket.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                continue
        peer.socket.settimeout(10)
        assert peer.got().status == 408


def test_a_body_that_does_not_come_is_given_up() -> None:
    with Running(limits={"http_body_seconds": 0.2}) as running, running.connect() as peer:
        peer.send(HEAD + b"some")
        answer = peer.got()
        assert (answer.status, answer.fields["connection"]) == (408, "close")
        assert peer.closed()
        assert running.on_loop(lambda: running.server.counts.held_bytes) == 0


def test_an_idle_connection_is_closed_without_a_word() -> None:
    with Running(limits={"http_idle_seconds": 1}) as running, running.connect() as peer:
        peer.send(GET)
        assert peer.got().status == 200
        assert peer.closed()


def test_a_connection_that_never_speaks_is_closed_without_a_word() -> None:
    with Running(limits={"http_header_seconds": 0.2}) as running, running.connect() as peer:
        assert peer.closed()


def test_a_handler_that_does_not_answer_is_given_up_and_what_waits_behind_it() -> None:
    handler = Waiting()
    routes = [Route("POST", "/wait", handler), *USUAL]
    with Running(routes, limits={"http_answer_seconds": 0.2}) as running, running.connect() as peer:
        peer.send(WAIT + GET)
        assert [answer.status for answer in peer.rest()] == [503]
        deferred = handler.asked[0][1]
        assert deferred.cancelled
        running.on_loop(lambda: handler.resolve(0))
        assert running.get().status == 200


def test_the_answer_to_a_head_that_is_given_up_has_no_body() -> None:
    handler = Waiting()
    server = Running([Route("GET", "/wait", handler)], limits={"http_answer_seconds": 0.2})
    with server as running, running.connect() as peer:
        peer.send(b"HEAD /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        assert status(peer.answer(bare=True)) == 503
        assert peer.closed()


def large_answers(**limits: float) -> tuple[list[str], Running]:
    asked: list[str] = []

    def large(request: Request) -> Response:
        asked.append(request.path)
        return Response(200, b"x" * 100_000)

    return asked, Running([Route("GET", "/large", large), *USUAL], limits=limits)


LARGE = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"


def narrow(running: Running) -> Peer:
    """A connection whose own buffer is small, so that the server's side fills."""
    connected = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connected.settimeout(20)
    connected.connect(running.place)
    return Peer(connected)


def test_a_peer_that_takes_no_answers_is_not_read_from() -> None:
    asked, server = large_answers(http_unsent_bytes=200_000)
    with server as running, narrow(running) as peer:
        peer.send(LARGE * 500)
        running.until(lambda: len(asked) > 2)
        assert [running.get().status for _ in range(20)] == [200] * 20
        before = running.on_loop(lambda: len(asked))
        assert before < 400
        answers = [peer.got() for _ in range(500)]
        assert {(answer.status, len(answer.body)) for answer in answers} == {(200, 100_000)}


def test_a_peer_that_takes_no_answers_is_closed_at_the_deadline() -> None:
    _, server = large_answers(http_write_seconds=0.3, http_unsent_bytes=200_000)
    with server as running, narrow(running) as peer:
        peer.send(LARGE * 500)
        running.until(lambda: running.server.counts.open == 1)
        running.until(lambda: running.server.counts.open == 0)
        assert running.on_loop(lambda: running.server.counts.timed_out) == 1


def test_a_peer_that_does_not_close_after_its_last_answer_is_closed() -> None:
    with Running(limits={"http_linger_seconds": 0.2}) as running, running.connect() as peer:
        peer.send(b"BROKEN\r\n\r\n")
        assert peer.got().status == 400
        running.until(lambda: running.server.counts.open == 0)


def test_the_answer_to_a_body_that_is_refused_arrives_though_the_body_is_still_sent() -> None:
    with Running(limits={"http_body_bytes": 1024}) as running:
        for _ in range(20):
            with running.connect() as peer:
                peer.send(HEAD + b"x" * 500_000)
                assert peer.got().status == 413


def test_connections_over_the_peers_limit_are_turned_away_and_it_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    with Running(limits={"http_connections_per_peer": 3}) as running:
        peers = [running.connect() for _ in range(3)]
        running.until(lambda: running.server.counts.open == 3)
        with running.connect() as fourth:
            answer = fourth.got()
            assert (answer.status, answer.fields["connection"]) == (503, "close")
            assert "too many" in json.loads(answer.body)["detail"]
            assert fourth.closed()
        peers.pop().socket.close()
        running.until(lambda: running.server.counts.open == 2)
        assert running.get().status == 200
        assert running.on_loop(lambda: running.server.counts.turned_away) == 1
        for peer in peers:
            peer.socket.close()
    assert "127.0.0.1 was turned away" in caplog.text


def test_connections_over_the_limit_of_all_are_turned_away() -> None:
    with Running(limits={"http_connections": 8}) as running:
        peers = [running.connect() for _ in range(9)]
        running.until(lambda: running.server.counts.turned_away == 1)
        assert status(peers[8].answer()) == 503
        for peer in peers:
            peer.socket.close()
        running.until(lambda: running.server.counts.open == 0)
        assert running.get().status == 200


def test_half_received_bodies_are_limited_all_together() -> None:
    with Running(limits={"http_held_bytes": 1024 * 1024}) as running:
        peers = [running.connect() for _ in range(4)]
        for peer in peers:
            peer.send(HEAD + b"x" * 400_000)
        running.until(lambda: running.server.counts.refused >= 1)
        assert running.on_loop(lambda: running.server.counts.held_bytes) <= 1024 * 1024
        for peer in peers:
            peer.send(b"x" * 100_000)
        assert sorted(status(peer.answer()) or 0 for peer in peers)[-1] == 503
        assert running.get().status == 200
        for peer in peers:
            peer.socket.close()
        running.until(lambda: running.server.counts.held_bytes == 0)


def test_running_out_of_descriptors_is_survived(caplog: pytest.LogCaptureFixture) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Running() as running:
        waiting = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        waiting.settimeout(20)
        peer = Peer(waiting)
        lowest = waiting.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, hard))
        try:
            waiting.connect(running.place)
            peer.send(GET)
            running.until(lambda: "no connection can be accepted" in caplog.text)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert peer.got().status == 200
        waiting.close()


class FullLoop(Loop):
    """A loop whose epoll takes no further descriptor while it is ``full``."""

    full = False

    def add_reader(self, fd: int, call: Call) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().add_reader(fd, call)


def test_a_connection_that_epoll_does_not_take_is_turned_away_and_costs_no_place() -> None:
    loop = FullLoop()
    with Running(loop=loop, limits={"http_connections": 8}) as running:
        running.on_loop(lambda: setattr(loop, "full", True))
        for _ in range(20):
            with socket.create_connection(running.place, timeout=20) as peer:
                assert b" 503 " in peer.recv(65536)
        running.on_loop(lambda: setattr(loop, "full", False))
        assert running.get().status == 200
        assert running.on_loop(lambda: running.server.counts.turned_away) == 20


def test_small_answers_do_not_wait_for_an_acknowledgement() -> None:
    with listen_tcp("127.0.0.1", 0) as listening:
        Server(Loop(), Limits()).add_listener(listening, "gateway", Router(USUAL))
        with socket.create_connection(listening.getsockname()[:2]):
            listening.settimeout(20)
            connected, _ = listening.accept()
            assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            connected.close()
