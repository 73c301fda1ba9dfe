"""The real daemon process, started from a real release as its unit starts it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.release.build import Hook
from tests.daemon import Daemon, Machine, ask, fleet

GOOD: dict[str, Any] = {
    "from": "ezra",
    "to": "ezra",
    "type": "request",
    "payload": "2+2?",
    "timestamp": "2026-02-03T04:05:06Z",
}
TWO = """
fleet: timmy
wizards: {ezra: {host: 127.0.0.1, role: orchestrator}, gideon: {host: 192.0.2.13}}
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.install()
    return made


@pytest.fixture
def daemon(machine: Machine) -> Iterator[Daemon]:
    with Daemon(machine.argv()) as started:
        yield started
        if started.process.poll() is None:
            assert started.end() == 0, started.log


def bodies(machine: Machine) -> list[bytes]:
    connection = sqlite3.connect(machine.state() / "bus.db")
    try:
        return [row[0] for row in connection.execute("SELECT body FROM inbox ORDER BY seq")]
    finally:
        connection.close()


def test_health_tells_what_runs_and_that_all_is_well(machine: Machine, daemon: Daemon) -> None:
    status, said, headers = ask(daemon.port, "GET", "/health")
    manifest = json.loads((machine.home / "current/manifest.json").read_text())
    assert (status, said["status"]) == (200, "pass")
    assert headers["content-type"] == "application/health+json"
    assert said["running"] == manifest["wizards"]["ezra"]["input"]
    assert said["installed"] == said["releaseId"] == os.readlink(machine.home / "current")[9:]
    assert said["serviceId"] == said["wizard"] == "ezra"
    assert set(said["checks"]) == {
        "release:installed", "soul:seal", "disk:free", "clock:time", "loop:stall", "bus:depth",
        "bus:unhandled", "bus:leased", "bus:waiters", "bus:outbox", "bus:peers",
        "bus:dead-letters", "bus:cycles", "handlers:running",
        "uptime", "bus:unsigned", "bus:keys", "settings:reload",
    }  # fmt: skip


def test_a_message_is_answered_and_on_disk_and_counted(machine: Machine, daemon: Daemon) -> None:
    status, said, _ = ask(daemon.port, "POST", "/message", GOOD)
    assert (status, said["status"]) == (202, "accepted")
    assert bodies(machine) == [json.dumps(GOOD).encode()]
    assert ask(daemon.port, "GET", "/health")[1]["checks"]["bus:depth"][0]["observedValue"] == 1


def test_find_and_registry(daemon: Daemon) -> None:
    status, found, _ = ask(daemon.port, "GET", "/find?capability=ansible-deploy")
    assert status == 200
    assert [one["name"] for one in found] == ["ezra", "bezalel"]
    assert ask(daemon.port, "GET", "/find?capability=none")[:2] == (200, [])
    assert ask(daemon.port, "GET", "/find")[0] == 400
    _, registry, _ = ask(daemon.port, "GET", "/registry")
    assert [one["name"] for one in registry["wizards"]] == ["ezra", "bezalel", "allegro"]
    assert "ssh" not in registry["wizards"][0]


def test_the_local_agent_speaks_over_its_socket(machine: Machine, daemon: Daemon) -> None:
    path = machine.root / "run/fleet-agent/ezra/agent.sock"
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(path))
        body = json.dumps(GOOD | {"from": "ezra", "to": "bezalel"})
        line.sendall(
            f"POST /message HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 202 ")


def test_only_its_owner_can_read_the_box(machine: Machine, daemon: Daemon) -> None:
    ask(daemon.port, "POST", "/message", GOOD)
    assert stat.S_IMODE(machine.state().stat().st_mode) == 0o700
    modes = {stat.S_IMODE(path.stat().st_mode) for path in machine.state().iterdir()}
    assert modes == {0o600}


def test_a_changed_soul_fails_health_and_a_mended_one_passes(
    machine: Machine, daemon: Daemon
) -> None:
    soul = machine.home / "current/wizards/ezra/soul"
    soul.write_bytes(b"Obey me.\n")
    status, said, _ = ask(daemon.port, "GET", "/health")
    assert (status, said["status"]) == (503, "fail")
    assert "is not the sealed one" in said["output"][0]
    soul.write_bytes(b"Be kind.\n")
    assert ask(daemon.port, "GET", "/health")[0] == 200


def test_a_registry_comes_in_without_a_restart(machine: Machine, daemon: Daemon) -> None:
    before = daemon.process.pid
    machine.install(fleet(TWO))
    assert ask(daemon.port, "GET", "/health")[1]["status"] == "pass"
    daemon.send(signal.SIGHUP)
    heard = daemon.until("READY=1")
    assert "RELOADING=1" in heard
    _, registry, _ = ask(daemon.port, "GET", "/registry")
    assert [one["name"] for one in registry["wizards"]] == ["ezra", "gideon"]
    assert ask(daemon.port, "POST", "/message", GOOD | {"to": "bezalel"})[0] == 404, "it is gone"
    assert daemon.process.pid == before


def test_a_new_release_of_other_code_warns_until_the_restart(
    machine: Machine, daemon: Daemon
) -> None:
    running = ask(daemon.port, "GET", "/health")[1]["running"]
    name = machine.install(limits={"batch_lines": 7})
    status, said, _ = ask(daemon.port, "GET", "/health")
    assert (status, said["status"], said["installed"]) == (200, "warn", name)
    assert said["running"] == running
    assert f"release {name} is installed" in said["output"][0]


def test_a_broken_registry_is_not_taken_and_said(machine: Machine, daemon: Daemon) -> None:
    machine.install(fleet(TWO))
    (machine.home / "current/registry.json").write_text('{"v":1,"wizards":')
    daemon.send(signal.SIGHUP)
    daemon.until("READY=1")
    status, said, _ = ask(daemon.port, "GET", "/health")
    assert (status, said["status"]) == (200, "warn")
    assert "the last reload was not taken" in said["output"][0]
    assert ask(daemon.port, "POST", "/message", GOOD)[0] == 202, "the old registry stays"
    assert "settings not taken, the old ones stay" in daemon.log


def test_a_missing_webhook_secret_is_warned_of_and_holds_up_no_reload(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    hook = Hook("127.0.0.1", 0, "PROD", None)
    machine.install(hook=hook)
    secret = tmp_path / "etc/fleet-agent/hook/secret"
    with Daemon(machine.argv()) as daemon:
        reasons = ask(daemon.port, "GET", "/health")[1]["output"]
        assert len(reasons) == 1
        assert "no webhook can be believed" in reasons[0]
        machine.install(fleet(TWO), hook=hook)
        daemon.send(signal.SIGHUP)
        daemon.until("READY=1")
        _, registry, _ = ask(daemon.port, "GET", "/registry")
        assert [one["name"] for one in registry["wizards"]] == ["ezra", "gideon"]
        secret.parent.mkdir(parents=True)
        secret.write_text("a secret\n")
        secret.chmod(0o600)
        daemon.send(signal.SIGHUP)
        daemon.until("READY=1")
        assert ask(daemon.port, "GET", "/health")[1]["status"] == "pass"


def test_unsigned_allow_is_warned_of(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.install(unsigned=True)
    with Daemon(machine.argv()) as daemon:
        status, said, _ = ask(daemon.port, "GET", "/health")
        assert (status, said["status"]) == (200, "warn")
        assert "unsigned: allow" in said["output"][0]


def test_a_web_page_cannot_write_to_the_box(machine: Machine, daemon: Daemon) -> None:
    headers = {"Origin": "http://evil.example", "Content-Type": "text/plain"}
    assert ask(daemon.port, "POST", "/message", GOOD, headers)[0] == 401
    assert bodies(machine) == []


def test_sigterm_drains_what_was_begun_and_refuses_nothing(
    machine: Machine, daemon: Daemon
) -> None:
    body = json.dumps(GOOD).encode()
    head = f"POST /message HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", daemon.port)) as line:
        line.sendall(head.encode() + body[:10])
        # Until the daemon has this request in its hands, as an answer behind it proves.
        assert ask(daemon.port, "GET", "/health")[0] == 200
        daemon.send(signal.SIGTERM)
        daemon.until("STOPPING=1")
        line.sendall(body[10:])
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 202 ")
    assert daemon.process.wait(20) == 0
    assert bodies(machine) == [body]
    assert not (machine.root / "run/fleet-agent/ezra/agent.sock").exists()
    assert daemon.log.splitlines()[-1] == "ezra: ended"


def test_a_second_sigterm_does_not_wait(machine: Machine, daemon: Daemon) -> None:
    with socket.create_connection(("127.0.0.1", daemon.port)) as line:
        line.sendall(b"POST /message HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1")
        assert ask(daemon.port, "GET", "/health")[0] == 200
        daemon.send(signal.SIGTERM)
        daemon.until("STOPPING=1")
        assert daemon.end() == 0


def test_the_watchdog_is_told_in_time(machine: Machine) -> None:
    with Daemon(machine.argv(), env={"WATCHDOG_USEC": "300000"}) as daemon:
        daemon.until("WATCHDOG=1")
        daemon.until("WATCHDOG=1")
        assert daemon.process.poll() is None


CHILD = """
import os, sys
for n, fd in enumerate(sys.argv[1].split(",")):
    os.dup2(int(fd), 60 + n)
for n in range(len(sys.argv[1].split(","))):
    os.dup2(60 + n, 3 + n)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_sockets_of_systemd_are_served_and_outlive_the_daemon(
    machine: Machine, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "agent.sock"))
        unix.listen()
        fds = ",".join(str(sock.fileno()) for sock in (tcp, unix))
        for sock in (tcp, unix):
            sock.set_inheritable(True)
        port = tcp.getsockname()[1]
        argv = [sys.executable, "-c", CHILD, fds, *machine.argv()]
        env = {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "gateway:gateway"}
        with Daemon(argv, env=env, close_fds=False) as first:
            assert ask(port, "GET", "/health")[0] == 200
            assert f"http://127.0.0.1:{port}, {tmp_path}/agent.sock" in first.log
            assert first.end() == 0
        # Between two daemons a request waits in the socket's queue.
        waiting = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        waiting.request("GET", "/health")
        with Daemon(argv, env=env, close_fds=False):
            assert waiting.getresponse().status == 200
        waiting.close()
        assert (tmp_path / "agent.sock").exists()
        assert not (machine.root / "run").exists(), "nothing was bound beside them"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("settings", "settings.json"),
        ("wizard", "has no input digest of gideon"),
        ("database", "is not a database"),
    ],
)
def test_a_start_that_fails_says_why_and_ends(machine: Machine, damage: str, words: str) -> None:
    if damage == "settings":
        (machine.home / "current/wizards/ezra/settings.json").write_text("{")
    if damage == "database":
        machine.state().mkdir(parents=True)
        (machine.state() / "bus.db").write_bytes(b"no database" * 1000)
    argv = machine.argv("gideon" if damage == "wizard" else "ezra")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_daemon_by_hand_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "daemon.yaml").write_text(
        f"wizard: ezra\nlisten: {{port: 0}}\nstate_dir: {tmp_path}/state\nrun_dir: {tmp_path}/run\n"
        "registry: fleet.yaml\n"
    )
    (tmp_path / "fleet.yaml").write_text(TWO)
    root = Path(__file__).parents[3]
    argv = [sys.executable, "-m", "fleet_agent", "serve", "--config", str(tmp_path / "daemon.yaml")]
    with Daemon(argv, env={"PYTHONPATH": str(root)}) as daemon:
        assert ask(daemon.port, "POST", "/message", GOOD)[0] == 202
        (tmp_path / "daemon.yaml").write_text("wizard: ezra\nunsigned: maybe\n")
        daemon.send(signal.SIGHUP)
        daemon.until("READY=1")
        reasons = ask(daemon.port, "GET", "/health")[1]["output"]
        assert "must be refuse or allow" in reasons[0]
        assert daemon.end() == 0


def test_health_answers_while_a_client_sends_slowly(daemon: Daemon) -> None:
    with socket.create_connection(("127.0.0.1", daemon.port)) as slow:
        slow.sendall(b"POST /message HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        for _ in range(20):
            assert ask(daemon.port, "GET", "/health")[0] == 200
