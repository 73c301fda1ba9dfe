"""A graceful end: nothing that was begun is lost, and it ends."""

import socket

from fleet_agent.httpd.listen import listen_tcp
from fleet_agent.httpd.loop import Loop
from fleet_agent.httpd.router import Route, Router
from fleet_agent.httpd.server import Server
from fleet_agent.limits import Limits
from tests.socket.httpd.running import USUAL, Running, Waiting

GET = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
WAIT = b"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"


def waiting() -> tuple[Waiting, Running]:
    handler = Waiting()
    return handler, Running([Route("POST", "/wait", handler), *USUAL])


def test_idle_connections_are_closed_and_the_loop_ends() -> None:
    with Running() as running, running.connect() as used, running.connect() as fresh:
        used.send(GET)
        assert used.got().status == 200
        running.until(lambda: running.server.counts.open == 2)
        running.on_loop(lambda: running.server.drain(10))
        assert used.closed()
        assert fresh.closed()
        running.ended()


def test_a_first_request_that_is_on_its_way_is_waited_for() -> None:
    with Running() as running, running.connect() as fresh:
        running.until(lambda: running.server.counts.open == 1)
        running.on_loop(lambda: running.server.drain(10))
        fresh.send(GET)
        answer = fresh.got()
        assert (answer.status, answer.fields["connection"]) == (200, "close")
        assert fresh.closed()


def test_without_connections_it_ends_at_once() -> None:
    with Running() as running:
        running.on_loop(lambda: running.server.drain(10))
        running.ended()


def test_a_pending_answer_is_waited_for_and_says_close() -> None:
    handler, server = waiting()
    with server as running, running.connect() as peer:
        peer.send(WAIT)
        running.until(lambda: len(handler.asked) == 1)
        running.on_loop(lambda: running.server.drain(10))
        running.on_loop(lambda: handler.resolve(0))
        answer = peer.got()
        assert (answer.status, answer.fields["connection"]) == (202, "close")
        assert peer.closed()
        peer.socket.close()
        running.ended()


def test_only_the_last_of_several_pending_answers_says_close() -> None:
    handler, server = waiting()
    with server as running, running.connect() as peer:
        peer.send(WAIT + GET + WAIT)
        running.until(lambda: len(handler.asked) == 2)
        running.on_loop(lambda: running.server.drain(10))
        running.on_loop(lambda: handler.resolve(1))
        running.on_loop(lambda: handler.resolve(0))
        said = [(answer.status, answer.fields.get("connection")) for answer in peer.rest()]
        assert said == [(202, None), (200, None), (202, "close")]


def test_a_request_that_was_begun_is_finished() -> None:
    with Running() as running, running.connect() as peer:
        peer.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
        running.until(lambda: running.server.counts.held_bytes > 0)
        running.on_loop(lambda: running.server.drain(10))
        peer.send(b"llo")
        answer = peer.got()
        assert (answer.status, answer.fields["connection"]) == (200, "close")


def test_what_does_not_end_is_ended_by_the_deadline() -> None:
    handler, server = waiting()
    with server as running, running.connect() as peer:
        peer.send(WAIT)
        running.until(lambda: len(handler.asked) == 1)
        running.on_loop(lambda: running.server.drain(0.2))
        running.ended()
        assert peer.closed()
        assert handler.asked[0][1].cancelled


def test_a_socket_that_another_process_holds_too_goes_on_listening() -> None:
    listening = listen_tcp("127.0.0.1", 0)
    place = listening.getsockname()
    with listening.dup() as systemds:
        loop = Loop()
        server = Server(loop, Limits())
        server.add_listener(listening, "gateway", Router(USUAL))
        loop.call_later(0, lambda: server.drain(10))
        server.serve_forever()
        server.server_close()
        loop.close()
        with socket.create_connection(place, 10) as asking:
            connected, _ = systemds.accept()
            connected.close()
            assert asking.recv(1) == b""


def test_our_own_socket_is_closed_so_that_others_are_refused_at_once() -> None:
    with Running() as running:
        running.on_loop(lambda: running.server.drain(10))
        running.ended()
        with socket.socket() as asking:
            assert asking.connect_ex(running.place) != 0


def test_draining_twice_is_draining_once() -> None:
    with Running() as running, running.connect() as peer:
        peer.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
        running.until(lambda: running.server.counts.held_bytes > 0)
        running.on_loop(lambda: running.server.drain(10))
        running.on_loop(lambda: running.server.drain(0))
        peer.send(b"llo")
        assert peer.got().status == 200
