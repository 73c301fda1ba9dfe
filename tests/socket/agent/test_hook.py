"""The hook's port of the orchestrator's daemon: a pushed tag ends in fleet-deploy's queue."""

from __future__ import annotations

import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.forge.webhook import sign
from fleet_agent.release.build import Hook
from tests.daemon import Daemon, Machine, ask
from tests.deploy_world import Pushes, Repository, Service, gitea_headers, post, service
from tests.recordings import SECRET


@pytest.fixture
def place() -> Iterator[Path]:
    # Short: a Unix socket's path has room for 107 bytes.
    with tempfile.TemporaryDirectory(prefix="fa-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def served(place: Path) -> Iterator[Service]:
    Repository(place / "repository")
    with service(place / "deploy", str(place / "repository")) as made:
        yield made


def secret_of(root: Path, value: bytes) -> Path:
    path = root / "etc/fleet-agent/hook/secret"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(value)
    path.chmod(0o640)
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def start(place: Path, port: int, repository: str = "git@forge:timmy/fleet-ops.git") -> Daemon:
    machine = Machine(place)
    machine.install(hook=Hook("127.0.0.1", port, "PROD", repository))
    run = place / "run/fleet-agent"
    run.mkdir(parents=True, exist_ok=True)
    (run / "deploy.sock").symlink_to(place / "deploy/deploy.sock")
    return Daemon(machine.argv())


def test_a_pushed_tag_goes_through_the_daemon_into_the_queue(place: Path, served: Service) -> None:
    secret_of(place, SECRET)
    port = free_port()
    repository = Repository(place / "more")
    with start(place, port) as daemon:
        status, said = Pushes(port, repository).send(repository.commit("one"), "a")
        assert (status, said["state"]) == (202, "queued"), daemon.log
        assert ask(daemon.port, "GET", "/health")[0] == 200
        # What is not the hook's is not on its port, and the hook is not on the gateway's.
        assert ask(port, "GET", "/health")[0] == 404
        assert ask(daemon.port, "POST", "/", b"{}")[0] in (404, 405)
    assert served.idle()[0]["ref"] == "refs/tags/PROD"


def test_a_reload_takes_a_new_secret_and_a_bad_one_leaves_the_old_in_force(
    place: Path, served: Service
) -> None:
    path = secret_of(place, b"another")
    port = free_port()

    def signed(secret: bytes) -> int:
        return post(port, gitea_headers(b"{}", X_Gitea_Signature=sign(secret, b"{}")), b"{}")[0]

    with start(place, port) as daemon:
        assert (signed(b"another"), signed(SECRET)) == (400, 401)
        path.write_bytes(SECRET)
        daemon.send(signal.SIGHUP)
        daemon.until("READY=1")
        assert (signed(b"another"), signed(SECRET)) == (401, 400)
        path.chmod(0o644)
        daemon.send(signal.SIGHUP)
        daemon.until("READY=1")
        assert signed(SECRET) == 400
        assert "anyone may read this secret" in daemon.log
        assert SECRET.decode() not in daemon.log


def test_without_a_secret_the_daemon_serves_and_believes_no_webhook(
    place: Path, served: Service
) -> None:
    port = free_port()
    with start(place, port) as daemon:
        assert ask(daemon.port, "GET", "/health")[0] == 200
        status, said = post(port, gitea_headers(b"{}"), b"{}")
        assert status == 401 and "no webhook secret yet" in said["detail"]
        assert "no webhook can be believed" in daemon.log
