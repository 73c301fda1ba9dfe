"""Usual requests on real sockets."""

import json
import os
from pathlib import Path

import pytest

from fleet_agent.errors import RequestError, TryAgain
from fleet_agent.httpd.router import Route
from fleet_agent.httpd.types import Request, Response
from tests.socket.httpd.running import USUAL, Running

GET = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"


def test_a_get_is_answered_and_the_connection_stays() -> None:
    with Running() as running, running.connect() as peer:
        for _ in range(3):
            peer.send(GET)
            answer = peer.got()
            assert (answer.status, answer.body) == (200, b'{"status":"pass"}')
            assert answer.fields["content-type"] == "application/json"
            assert "connection" not in answer.fields


def test_connection_close_is_honoured_and_said() -> None:
    with Running() as running, running.connect() as peer:
        peer.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert peer.got().fields["connection"] == "close"
        assert peer.closed()


def test_http_1_0_closes_unless_it_asks_to_stay() -> None:
    with Running() as running, running.connect() as peer:
        peer.send(b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert peer.got().fields["connection"] == "keep-alive"
        peer.send(b"GET /health HTTP/1.0\r\n\r\n")
        assert peer.got().fields["connection"] == "close"
        assert peer.closed()


def test_a_body_with_a_length_and_one_in_chunks_are_the_same_to_the_handler() -> None:
    with Running() as running:
        (one,) = running.say(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        (two,) = running.say(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2;x=1\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n"
        )
    assert json.loads(one.body) == json.loads(two.body)
    assert json.loads(one.body)["body"] == "hello"


def test_an_absolute_url_and_its_query_reach_the_handler() -> None:
    with Running() as running:
        (answer,) = running.say(b"GET http://a:1/echo?x=%C3%A9&y= HTTP/1.1\r\nHost: a:1\r\n\r\n")
    value = json.loads(answer.body)
    assert (value["path"], value["query"]) == ("/echo", [["x", "é"], ["y", ""]])


def test_head_has_the_length_of_get_and_no_body() -> None:
    with Running() as running, running.connect() as peer:
        peer.send(b"HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = peer.answer(bare=True)
        assert answer is not None
        assert (answer.status, answer.fields["content-length"]) == (200, "17")
        peer.send(GET)
        assert peer.got().body == b'{"status":"pass"}'


def test_a_wrong_method_is_told_the_right_ones() -> None:
    with Running() as running:
        (answer,) = running.say(b"DELETE /health HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (answer.status, answer.fields["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert answer.fields["content-type"] == "application/problem+json"


def test_options_are_answered_for_a_path_and_for_the_server() -> None:
    with Running() as running:
        answers = running.say(
            b"OPTIONS /echo HTTP/1.1\r\nHost: a\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"
        )
    assert [answer.status for answer in answers] == [204, 204]
    assert answers[0].fields["allow"] == "GET, HEAD, OPTIONS, POST"


def test_an_unknown_path_is_a_problem_and_the_connection_stays() -> None:
    with Running() as running, running.connect() as peer:
        peer.send(b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + GET)
        assert peer.got().status == 404
        assert peer.got().status == 200


@pytest.mark.parametrize("data", [b"BROKEN\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01"])
def test_every_refusal_is_a_problem_and_ends_the_connection(data: bytes) -> None:
    with Running() as running, running.connect() as peer:
        peer.send(data + GET)
        answer = peer.got()
        assert (answer.status, answer.fields["connection"]) == (400, "close")
        problem = json.loads(answer.body)
        assert {"type", "title", "status", "detail"} <= set(problem)
        assert peer.closed()
        assert running.on_loop(lambda: running.server.counts.refused) == 1


def test_a_handlers_error_becomes_its_problem() -> None:
    def wrong(request: Request) -> Response:
        raise RequestError("no 'to'", status=422, where="message", mend="name a wizard")

    def full(request: Request) -> Response:
        raise TryAgain("the box is full")

    with Running([Route("GET", "/wrong", wrong), Route("GET", "/full", full)]) as running:
        refused, later = running.get("/wrong"), running.get("/full")
    assert (refused.status, json.loads(refused.body)["mend"]) == (422, "name a wizard")
    assert (later.status, later.fields["retry-after"]) == (503, "1")


def test_a_broken_handler_is_logged_and_told_nothing_of(caplog: pytest.LogCaptureFixture) -> None:
    def broken(request: Request) -> Response:
        raise RuntimeError("the password is hunter2")

    def unspeakable(request: Request) -> Response:
        return Response(200, headers=(("X", "a\r\nSet-Cookie: b"),))

    routes = [Route("GET", "/b", broken), Route("GET", "/u", unspeakable), *USUAL]
    with Running(routes) as running:
        for path in ("/b", "/u"):
            answer = running.get(path)
            assert answer.status == 500
            assert b"hunter2" not in answer.body
            assert "set-cookie" not in answer.fields
        assert running.get().status == 200
        assert running.on_loop(lambda: running.server.counts.failed) == 2
    assert "RuntimeError" in caplog.text


def test_a_unix_socket_tells_who_is_there(tmp_path: Path) -> None:
    with Running(unix=str(tmp_path / "agent.sock")) as running:
        value = json.loads(running.get("/echo").body)
    assert (value["kind"], value["uid"]) == ("unix", os.getuid())


def test_a_large_answer_arrives_whole_at_a_slow_reader() -> None:
    large = os.urandom(3_000_000)

    def registry(request: Request) -> Response:
        return Response(200, large, "application/octet-stream")

    with Running([Route("GET", "/large", registry), *USUAL]) as running:
        with running.connect() as slow:
            slow.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
            assert running.get().status == 200
            assert slow.got().body == large
            assert slow.got().status == 200
        assert running.get().status == 200


def test_the_end_of_the_peers_direction_still_gets_its_answers() -> None:
    with Running() as running:
        assert [answer.status for answer in running.say(GET * 5)] == [200] * 5


def test_a_connection_that_ends_inside_a_request_is_told_so() -> None:
    with Running() as running:
        for data in (b"GET / HT", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe"):
            (answer,) = running.say(data)
            assert answer.status == 400
        assert running.say(b"") == []
        running.until(lambda: running.server.counts.open == 0)
