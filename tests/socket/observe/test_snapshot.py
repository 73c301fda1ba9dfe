"""Looking at a fleet over real sockets and processes.

In ssh's place stands a local shell (it gets the remote command as ssh's other side does); real ssh
is the lab's.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from fleet_agent.limits import Limits
from fleet_agent.observe.snapshot import look
from fleet_agent.registry import parse
from fleet_agent.registry.schema import Registry, Wizard
from fleet_agent.wire import Health

LIMITS = Limits({"status_seconds": 5})
SHELL = ["sh", "-c"]
NO_WAY = ["sh", "-c", "echo 'ssh: connect to host x port 22: No route to host' >&2; exit 255", "--"]


class Server(HTTPServer):
    """Answers every GET with the same; ``server_bind`` asks no name service."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.body = status, body
        super().__init__(("127.0.0.1", 0), Answer)

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", self.server_address[1]


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def answering(said: object, status: int = 200) -> Iterator[int]:
    """A port on loopback behind which something answers."""
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    with Server(status, body) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield int(server.server_port)
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def silent() -> Iterator[int]:
    """A port on loopback that refuses: bound, and nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


def health_of(name: str, status: str = "pass") -> dict[str, Any]:
    return {"status": status, "serviceId": name, "fleet": "fleet", "installed": "bbbb"}


def registry(**ports: int) -> Registry:
    """Wizards by name on 127.0.0.1, the first one the orchestrator."""
    rows = [
        f"  {name}: {{host: 127.0.0.1, listen: {{port: {port}}}, "
        f"role: {'worker' if number else 'orchestrator'}}}"
        for number, (name, port) in enumerate(ports.items())
    ]
    return parse.parse("wizards:\n" + "\n".join(rows) + "\n", "fleet.yaml")


def elsewhere(fleet: Registry, endpoint: str) -> Registry:
    """The same fleet, whose health endpoints can't be reached from here."""
    wizards = tuple(wizard._replace(health_endpoint=endpoint) for wizard in fleet.wizards)
    return Registry(fleet.fleet, wizards, fleet.deploy)


def test_all_wizards_of_a_well_fleet_answer() -> None:
    with answering(health_of("ezra")) as one, answering(health_of("miriam", "warn")) as two:
        snapshot = look(registry(ezra=one, miriam=two), lambda wizard: SHELL, LIMITS)
    assert snapshot.exit_code == 0
    assert [wizard.health.status for wizard in snapshot.wizards] == [Health.PASS, Health.WARN]
    assert [wizard.health.via for wizard in snapshot.wizards] == ["http", "http"]
    assert all(wizard.ssh.ok for wizard in snapshot.wizards)


def test_a_node_is_asked_over_ssh_once_however_many_wizards_it_carries() -> None:
    asked: list[str] = []

    def ways(wizard: Wizard) -> list[str]:
        asked.append(wizard.name)
        return SHELL

    with answering(health_of("ezra")) as one, answering(health_of("miriam")) as two:
        look(registry(ezra=one, miriam=two), ways, LIMITS)
    assert asked == ["ezra"]


def test_another_program_on_the_port_is_told_from_ours() -> None:
    with answering(health_of("hermes")) as one, answering(b"<html>OK</html>") as two:
        snapshot = look(registry(ezra=one, miriam=two), lambda wizard: SHELL, LIMITS)
    assert snapshot.exit_code == 10
    first, second = (wizard.health for wizard in snapshot.wizards)
    assert "hermes" in first.why
    assert "something else" in second.why


def test_where_http_does_not_reach_the_node_is_asked_itself() -> None:
    with answering(health_of("ezra")) as port, silent() as closed:
        fleet = elsewhere(registry(ezra=port), f"http://127.0.0.1:{closed}/health")
        (wizard,) = look(fleet, lambda wizard: SHELL, LIMITS).wizards
    assert (wizard.health.status, wizard.health.via) == (Health.PASS, "ssh")
    assert wizard.health.release == "bbbb"


def test_a_failing_daemon_says_why_over_ssh_too() -> None:
    said = health_of("ezra", "fail") | {"output": ["the disk is full"]}
    with answering(said, 503) as port, silent() as closed:
        fleet = elsewhere(registry(ezra=port), f"http://127.0.0.1:{closed}/health")
        (wizard,) = look(fleet, lambda wizard: SHELL, LIMITS).wizards
    assert (wizard.health.status, wizard.health.why) == (Health.FAIL, "the disk is full")


def test_a_daemon_that_is_down_is_not_well_and_its_node_is() -> None:
    with silent() as closed:
        snapshot = look(registry(ezra=closed), lambda wizard: SHELL, LIMITS)
    (wizard,) = snapshot.wizards
    assert wizard.ssh.ok
    assert "refused" in wizard.health.why
    assert snapshot.exit_code == 10


def test_where_nothing_answers_it_could_not_look() -> None:
    with silent() as closed:
        snapshot = look(registry(ezra=closed), lambda wizard: NO_WAY, LIMITS)
    (wizard,) = snapshot.wizards
    assert wizard.ssh.why == "ssh: connect to host x port 22: No route to host"
    assert snapshot.exit_code == 11


def test_health_alone_is_not_well_when_ssh_fails() -> None:
    with answering(health_of("ezra")) as port:
        snapshot = look(registry(ezra=port), lambda wizard: NO_WAY, LIMITS)
    assert snapshot.exit_code == 10
    assert snapshot.wizards[0].health.status is Health.PASS


def test_a_node_that_never_answers_ends_with_its_time_limit() -> None:
    stuck = ["sh", "-c", "sleep 600", "--"]
    with answering(health_of("ezra")) as port:
        limits = Limits({"status_seconds": 0.5})
        (wizard,) = look(registry(ezra=port), lambda wizard: stuck, limits).wizards
    assert not wizard.ssh.ok
    assert "did not end within" in wizard.ssh.why


def test_a_missing_ssh_is_said_and_raises_nothing() -> None:
    with answering(health_of("ezra")) as port:
        (wizard,) = look(registry(ezra=port), lambda wizard: ["/no/such/ssh"], LIMITS).wizards
    assert "could not be started" in wizard.ssh.why


def test_a_folder_of_this_machine_needs_no_ssh() -> None:
    with answering(health_of("ezra")) as port, silent() as closed:
        snapshot = look(registry(ezra=port, miriam=closed), lambda wizard: [], LIMITS)
    assert [wizard.ssh.ok for wizard in snapshot.wizards] == [True, True]
    assert snapshot.wizards[1].health.status is Health.FAIL
