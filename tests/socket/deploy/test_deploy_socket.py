"""fleet-deploy's socket: hostile lines, silent clients, followers, and who may speak."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from fleet_agent.limits import Limits
from fleet_agent.services.deploy_socket import SocketServer, listen
from tests.deploy_world import HERE, Pushes, Service, ask_raw


def test_a_client_that_says_nothing_keeps_nobody_waiting(served: Service) -> None:
    silent = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    for one in silent:
        one.connect(served.socket)
        one.sendall(b'{"do": "li')
    assert served.client.ask("list")["deploys"] == []
    for one in silent:
        one.close()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"nonsense\n", 400),
        (b"[]\n", 400),
        (b"{}\n", 400),
        (b'{"do": "dance"}\n', 404),
        (b'{"do": "show", "deploy": 99}\n', 404),
        (b'{"do": "show", "deploy": "1"}\n', 400),
        (b'{"do": "list", "limit": -1}\n', 400),
        (b'{"do": "deliveries", "wait": 1e9}\n', 400),
        (b'{"do": "submit"}\n', 400),
        (b'{"do": "submit", "forge": "gitea", "event": "push", "delivery": 7, "ref": "x"}\n', 400),
        (b"[" * 50_000 + b"\n", 400),
        (b"x" * 200_000, 413),
    ],
    ids=range(12),
)
def test_a_bad_line_is_answered_with_what_is_wrong(
    served: Service, line: bytes, status: int
) -> None:
    said = json.loads(ask_raw(served.socket, line))
    assert said["ok"] is False and said["error"]["status"] == status and said["error"]["what"]


def test_followers_have_places_of_their_own(pushes: Pushes, served: Service) -> None:
    served.behave("wait")
    pushes.push(pushes.repo.commit("one"))
    following = []
    for _ in range(64):
        one = socket.socket(socket.AF_UNIX)
        one.connect(served.socket)
        one.sendall(b'{"do": "follow"}\n')
        assert one.recv(1)
        following.append(one)
    said = json.loads(ask_raw(served.socket, b'{"do": "follow"}\n'))
    assert said["error"]["status"] == 503
    assert len(served.deploys()) == 1
    for one in following:
        one.close()


def test_a_second_service_does_not_take_the_socket_away(served: Service) -> None:
    argv = [sys.executable, "-m", "tests.stand_in_service", str(served.place)]
    done = subprocess.run(argv, cwd=HERE.parent, capture_output=True, timeout=60, check=False)
    assert done.returncode != 0
    assert served.client.ask("list")["ok"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_an_account_of_no_group_of_ours_is_refused_with_a_sentence(served: Service) -> None:
    served.place.chmod(0o711)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(served.place)
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(writer, ask_raw("deploy.sock", b'{"do": "list"}\n'))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        said = json.loads(answers.read())
    os.waitpid(child, 0)
    assert said["error"]["status"] == 403
    assert "may not speak to fleet-deploy" in said["error"]["what"]
    assert "fleet-agent" in said["error"]["mend"]


def test_what_the_hooks_account_says_is_cut_and_can_be_kept(served: Service) -> None:
    said = {
        "do": "record", "forge": "gitea", "event": "push", "delivery": "x" * 5000,
        "outcome": "refused", "reason": "\ud800\x1b[2J" + "y" * 5000, "signed": False,
    }  # fmt: skip
    assert json.loads(ask_raw(served.socket, json.dumps(said).encode() + b"\n"))["ok"]
    (kept,) = served.client.ask("deliveries")["deliveries"]
    assert len(kept["delivery"]) == 1000
    assert len(kept["reason"]) == 1000
    assert kept["reason"].startswith("\ufffd\ufffd[2J")


class Echo:
    """A socket server that answers every line with ``{}``."""

    def __init__(self, path: str, **limits: float) -> None:
        self.path = path
        self.listening = listen(path)
        self.server = SocketServer(
            self.listening, lambda caller: None, lambda caller, line: [{"ok": True}],
            lambda error: None, Limits(limits),
        )  # fmt: skip

    def __enter__(self) -> Echo:
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()
        self.listening.close()


def test_a_line_that_comes_byte_by_byte_is_late_all_the_same(tmp_path: Path) -> None:
    with (
        Echo(str(tmp_path / "s"), deploy_socket_seconds=0.5) as echo,
        socket.socket(socket.AF_UNIX) as slow,
    ):
        slow.connect(echo.path)
        slow.settimeout(0.05)
        said = b""
        for _ in range(400):
            with suppress(TimeoutError):
                said = slow.recv(65536)
                break
            slow.sendall(b" ")
    assert b"no whole line in time" in said


TAKING = """
import os, socket, sys
os.setgid(54321), os.setuid(54321)
kept = []
for _ in range(int(sys.argv[2])):
    one = socket.socket(socket.AF_UNIX)
    one.connect(sys.argv[1])
    kept.append(one)
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_one_account_cannot_take_every_place(tmp_path: Path) -> None:
    path = f"/run/fleet-agent-test-{os.getpid()}.sock"
    with Echo(path, deploy_socket_clients=8, deploy_socket_seconds=60) as echo:
        taking = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", TAKING, path, "20"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert taking.stdout is not None
        assert taking.stdout.readline() == b"taken\n"
        assert json.loads(ask_raw(echo.path, b"{}\n")) == {"ok": True}
        taking.communicate()
    os.unlink(path)
