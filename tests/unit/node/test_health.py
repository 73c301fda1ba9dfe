"""Health is read by its body, and each way of not getting one has its reason."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from fleet_agent.errors import FleetError, TryAgain
from fleet_agent.gateway.health import Release, report
from fleet_agent.httpd.answer import problem
from fleet_agent.node import health
from tests.unit.gateway.gatewayparts import serving


@contextmanager
def answering(path: Path, data: bytes) -> Iterator[list[bytes]]:
    """Something that answers one connection at ``path`` with ``data``."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                asked.append(connection.recv(65536))
                connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        thread.join()


def response(body: object, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nX: y\r\n\r\n{json.dumps(body)}".encode()


BODY = {
    "status": "pass", "serviceId": "ezra", "running": "r" * 64, "installed": "i" * 20,
    "releaseId": "j" * 20,
}  # fmt: skip


def test_a_daemon_is_asked_over_its_socket(tmp_path: Path) -> None:
    with answering(tmp_path / "s", response(BODY)) as asked:
        answer = health.ask(str(tmp_path / "s"))
    assert asked[0].startswith(b"GET /health HTTP/1.1\r\n")
    assert (answer.wizard, answer.status, answer.well) == ("ezra", "pass", True)
    assert (answer.running, answer.installed, answer.release) == ("r" * 64, "i" * 20, "j" * 20)
    assert answer.why == ""


def test_a_failed_daemon_is_heard_although_its_status_is_503() -> None:
    answer = health.read(response({**BODY, "status": "fail"}, "503 Service Unavailable"))
    assert (answer.status, answer.well) == ("fail", False)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SSH-2.0-OpenSSH",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\n\r\n[]",
        b"HTTP/1.1",
        b"\r\n\r\n{}",
    ],
)
def test_what_is_not_our_daemon_is_not_taken_for_one(data: bytes) -> None:
    answer = health.read(data)
    assert answer.why
    assert not answer.well


def test_a_daemon_of_ours_that_breaks_says_with_what() -> None:
    broke = problem(FleetError("the handler broke", mend="see the daemon's log"))
    answer = health.read(b"HTTP/1.1 500 Internal Server Error\r\n\r\n" + broke.body)
    assert answer.why == (
        "the daemon answered 500 instead of its health: the handler broke (see the daemon's log)"
    )
    busy = problem(TryAgain("2048 connections are open already"))
    answer = health.read(b"HTTP/1.1 503 Service Unavailable\r\n\r\n" + busy.body)
    assert "503 instead of its health: 2048 connections" in answer.why
    assert not answer.well


def test_a_broken_health_answer_of_ours_is_told_from_another_programs() -> None:
    body = report(serving(), Release("j" * 20, "r" * 64, "i" * 20), [], 0.0).body
    nameless = json.dumps({**json.loads(body), "serviceId": ""}, separators=(",", ":")).encode()
    for broken in (body[: len(body) // 2], nameless):
        answer = health.read(b"HTTP/1.1 200 OK\r\n\r\n" + broken)
        assert answer.why == "answered 200 with a broken health answer of ours"
    assert health.read(response({"status": "pass"})).why == (
        "answered 200 with no health: not our daemon?"
    )


def test_members_of_another_type_are_no_answer() -> None:
    answer = health.read(response({"status": 1, "serviceId": ["ezra"], "running": None}))
    assert (answer.status, answer.wizard, answer.running) == ("", "", "")


def test_nobody_there_and_nobody_speaking_are_told(tmp_path: Path) -> None:
    assert "no answer" in health.ask(str(tmp_path / "none")).why
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        assert "no answer" in health.ask(str(tmp_path / "s"), 0.05).why


def test_an_answer_that_does_not_end_is_none(tmp_path: Path) -> None:
    over = threading.Event()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()

        def trickle() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                while not over.wait(0.02):
                    connection.sendall(b" ")

        thread = threading.Thread(target=trickle)
        thread.start()
        answer = health.ask(str(tmp_path / "s"), 0.3)
        over.set()
        thread.join()
    assert answer.why.startswith("no answer")
    assert answer.body is None


def test_an_answer_nested_beyond_measure_is_none() -> None:
    answer = health.read(b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 200_000)
    assert "no JSON" in answer.why
