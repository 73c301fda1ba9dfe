"""Pipelining, deferred answers, 100-continue, and peers that leave."""

import json

from fleet_agent.errors import FleetError
from fleet_agent.httpd.answer import json_response, problem
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.router import Route
from fleet_agent.httpd.types import Request
from tests.socket.httpd.running import USUAL, Running, Waiting

GET = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
WAIT = b"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"


def waiting(**limits: float) -> tuple[Waiting, Running]:
    handler = Waiting()
    return handler, Running([Route("POST", "/wait", handler), *USUAL], limits=limits)


def test_a_later_get_does_not_overtake_a_pending_answer() -> None:
    handler, server = waiting()
    with server as running, running.connect() as peer:
        peer.send(WAIT + GET + WAIT + GET)
        running.until(lambda: len(handler.asked) == 2)
        running.on_loop(lambda: handler.resolve(1, 201))
        running.on_loop(lambda: handler.resolve(0, 202))
        assert [peer.got().status for _ in range(4)] == [202, 200, 201, 200]


def test_a_refusal_waits_for_the_answers_before_it() -> None:
    handler, server = waiting()
    with server as running, running.connect() as peer:
        peer.send(WAIT + b"BROKEN\r\n\r\n")
        running.until(lambda: len(handler.asked) == 1)
        running.on_loop(lambda: handler.resolve(0))
        first, second = peer.got(), peer.got()
        assert (first.status, "connection" in first.fields) == (202, False)
        assert (second.status, second.fields["connection"]) == (400, "close")
        assert peer.closed()


def test_what_arrives_in_one_turn_is_committed_once_and_then_answered() -> None:
    commits: list[int] = []
    pending: list[Deferred] = []

    def store(request: Request) -> Deferred:
        pending.append(Deferred())
        return pending[-1]

    with Running([Route("POST", "/wait", store)]) as running:

        def commit() -> None:
            if pending:
                commits.append(len(pending))
                for deferred in pending:
                    deferred.resolve(json_response(202, "stored"))
                pending.clear()

        running.on_loop(lambda: running.loop.on_turn_end(commit))
        with running.connect() as peer:
            peer.send(WAIT * 40)
            assert [peer.got().status for _ in range(40)] == [202] * 40
    assert sum(commits) == 40
    assert len(commits) < 40


def test_more_requests_than_may_wait_are_read_only_when_answers_went_out() -> None:
    handler, server = waiting(http_pipelined_requests=4)
    with server as running, running.connect() as peer:
        peer.send(WAIT * 10 + GET)
        running.until(lambda: len(handler.asked) == 4)
        for number in range(10):
            running.until(lambda number=number: len(handler.asked) > number)  # type: ignore[misc]
            assert running.on_loop(lambda: len(handler.asked)) <= number + 4
            running.on_loop(lambda number=number: handler.resolve(number))  # type: ignore[misc]
            assert peer.got().status == 202
        assert peer.got().status == 200


def test_a_turn_handles_no_more_requests_than_its_limit() -> None:
    turns: list[int] = []
    seen = 0

    def count(request: Request) -> Deferred:
        nonlocal seen
        seen += 1
        deferred = Deferred()
        deferred.resolve(json_response(200, seen))
        return deferred

    with Running([Route("POST", "/wait", count)], limits={"http_turn_requests": 8}) as running:

        def turn() -> None:
            nonlocal seen
            if seen:
                turns.append(seen)
            seen = 0

        running.on_loop(lambda: running.loop.on_turn_end(turn))
        with running.connect() as one, running.connect() as two:
            one.send(WAIT * 50)
            two.send(WAIT * 50)
            assert all(one.got().status == 200 for _ in range(50))
            assert all(two.got().status == 200 for _ in range(50))
    assert sum(turns) == 100
    assert max(turns) <= 8


def test_an_expected_continue_is_said_before_the_body_and_only_then() -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    with Running() as running, running.connect() as peer:
        peer.send(head)
        assert peer.got().status == 100
        peer.send(b"hello")
        assert json.loads(peer.got().body)["body"] == "hello"
        peer.send(head + b"world")
        assert json.loads(peer.got().body)["body"] == "world"


def test_a_continue_waits_for_the_answers_before_it() -> None:
    handler, server = waiting()
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    with server as running, running.connect() as peer:
        peer.send(WAIT + head)
        running.until(lambda: len(handler.asked) == 1)
        running.on_loop(lambda: handler.resolve(0))
        assert [peer.got().status, peer.got().status] == [202, 100]
        peer.send(b"hello")
        assert peer.got().status == 200


def test_a_body_that_is_too_large_is_refused_instead_of_continued() -> None:
    with Running(limits={"http_body_bytes": 1024}) as running, running.connect() as peer:
        peer.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n"
                  b"Expect: 100-continue\r\n\r\n")  # fmt: skip
        assert peer.got().status == 413
        assert peer.closed()


def test_a_peer_that_leaves_cancels_its_answer() -> None:
    handler, server = waiting()
    cancelled: list[str] = []
    with server as running:
        with running.connect() as peer:
            peer.send(WAIT)
            running.until(lambda: len(handler.asked) == 1)
            deferred = handler.asked[0][1]
            running.on_loop(lambda: deferred.on_cancel(lambda: cancelled.append("told")))
        running.until(lambda: deferred.cancelled)
        assert cancelled == ["told"]
        running.on_loop(lambda: handler.resolve(0))
        running.until(lambda: running.server.counts.open == 0)
        assert running.get().status == 200


def test_a_peer_that_only_ended_its_own_direction_gets_a_late_answer() -> None:
    handler, server = waiting()
    with server as running, running.connect() as peer:
        peer.send(WAIT)
        peer.end()
        running.until(lambda: bool(handler.asked) and handler.asked[0][1].cancelled)
        running.on_loop(lambda: handler.resolve(0))
        assert [answer.status for answer in peer.rest()] == [202]


def test_an_answer_to_a_connection_that_is_gone_is_nothing() -> None:
    handler, server = waiting()
    with server as running:
        with running.connect() as peer:
            peer.send(WAIT * 3)
            running.until(lambda: len(handler.asked) == 3)
            running.on_loop(running.server.server_close)
        assert all(deferred.cancelled for _, deferred in handler.asked)
        for number in range(3):
            running.on_loop(lambda number=number: handler.resolve(number))  # type: ignore[misc]
        assert running.on_loop(lambda: running.server.counts.open) == 0


def test_a_handler_can_talk_to_another_socket_without_stopping_the_loop() -> None:
    import socket

    ours, theirs = socket.socketpair()
    with ours, theirs:

        def ask(request: Request) -> Deferred:
            deferred = Deferred()

            def answered() -> None:
                running.loop.remove_reader(ours.fileno())
                deferred.resolve(json_response(202, ours.recv(100).decode()))

            running.loop.add_reader(ours.fileno(), answered)
            ours.send(b"submit")
            return deferred

        server = Running([Route("POST", "/wait", ask), *USUAL])
        with server as running, running.connect() as peer:
            peer.send(WAIT)
            assert theirs.recv(100) == b"submit"
            assert running.get().status == 200
            theirs.send(b"deploy 42")
            assert json.loads(peer.got().body) == "deploy 42"


def test_a_deferred_answer_may_be_a_problem() -> None:
    handler, server = waiting()
    with server as running, running.connect() as peer:
        peer.send(WAIT)
        running.until(lambda: len(handler.asked) == 1)
        running.on_loop(lambda: handler.asked[0][1].resolve(problem(FleetError("disk"))))
        answer = peer.got()
        assert (answer.status, json.loads(answer.body)["detail"]) == (500, "disk")


def test_a_failed_commit_ends_the_server_and_answers_nothing() -> None:
    handler, server = waiting()
    with server as running, running.connect() as peer:

        def commit() -> None:
            if handler.asked:
                raise OSError("fsync failed")

        running.on_loop(lambda: running.loop.on_turn_end(commit))
        peer.send(WAIT)
        running.ended()
        assert isinstance(running.failure, OSError)
        running.server.server_close()
        assert peer.closed()
