"""A real Git repository, a real fleet-deploy process with a stand-in pipeline, a real hook."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet_agent.deploy.client import Client, NoService
from fleet_agent.forge.rules import HookRules
from fleet_agent.forge.webhook import sign
from fleet_agent.hook.gate import Gate
from fleet_agent.hook.room import HookRoom
from fleet_agent.httpd.listen import listen_tcp
from fleet_agent.httpd.loop import Loop
from fleet_agent.httpd.router import Router
from fleet_agent.httpd.server import Server
from fleet_agent.limits import Limits
from tests.recordings import SECRET

HERE = Path(__file__).parent
PATIENCE_S = 30.0


class Repository:
    """A repository with a branch, whose tags move as told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words: str) -> str:
        env = {
            "PATH": os.environ["PATH"], "HOME": str(self.path), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b.invalid",
            "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b.invalid",
        }  # fmt: skip
        done = subprocess.run(
            ["git", *words], cwd=self.path, env=env, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, message: str, files: Mapping[str, str] | None = None) -> str:
        for name, text in (files or {"f": message}).items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def tag(self, name: str, commit: str, *, annotated: bool = False) -> str:
        """Make or move a tag; what the ref names then."""
        words = ["--annotate", "-m", name] if annotated else []
        self.git("tag", "--force", *words, name, commit)
        return self.git("rev-parse", f"refs/tags/{name}")

    def point(self, name: str, value: str) -> None:
        self.git("update-ref", f"refs/tags/{name}", value)

    def untag(self, name: str) -> None:
        self.git("tag", "--delete", name)


@dataclass
class Service:
    """A fleet-deploy process. Its stand-in pipeline writes each commit that it runs to a file,
    and does what ``behaviour`` says: ends verified, rolls back, or waits until it is told."""

    place: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> str:
        return str(self.place / "deploy.sock")

    @property
    def state(self) -> Path:
        return self.place / "state"

    @property
    def client(self) -> Client:
        return Client(self.socket)

    def start(self) -> None:
        argv = [sys.executable, "-m", "tests.stand_in_service", str(self.place)]
        with (self.place / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                argv, cwd=HERE.parent, stdout=log, stderr=log, start_new_session=True
            )
        until(self._answers, "fleet-deploy's answer")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.place / "service.log").read_text()
        try:
            self.client.ask("list")
        except NoService:
            return False
        return True

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def behave(self, how: str) -> None:
        """verified, rolled_back, failed, unsure, wait, error, bug, mid (an error in mid-run)."""
        (self.place / "behaviour").write_text(how)

    def runs(self, what: str = "ran") -> list[str]:
        """The commits that were run (``ran``), checked or put back (``recovered``), in order."""
        try:
            lines = (self.place / what).read_text().splitlines()
        except FileNotFoundError:
            return []
        return lines

    def deploys(self) -> list[dict[str, Any]]:
        """All deploys, oldest first."""
        found: list[dict[str, Any]] = self.client.ask("list", limit=1000)["deploys"]
        return found[::-1]

    def states(self) -> list[str]:
        return [one["state"] for one in self.deploys()]

    def idle(self) -> list[dict[str, Any]]:
        """Wait until nothing is queued or running; all deploys."""
        until(lambda: not {"queued", "running"} & set(self.states()), "an empty queue")
        return self.deploys()


@contextmanager
def service(place: Path, repository: str, **rules: str) -> Iterator[Service]:
    """A running fleet-deploy."""
    made = Service(place)
    made.state.mkdir(parents=True)
    first = {"repository": repository, **rules}
    (made.state / "first.json").write_text(json.dumps(first))
    made.behave("verified")
    made.start()
    try:
        yield made
    finally:
        if made.process is not None:
            made.process.kill()
            made.process.wait()


@contextmanager
def hook(
    socket_path: str, secret: Path, rules: HookRules, limits: Mapping[str, float] | None = None
) -> Iterator[int]:
    """A real hook server in a thread of its own; its port."""
    values = Limits(limits or {})
    loop = Loop()
    gate = Gate([str(secret)])
    gate.load()
    room = HookRoom(loop, gate, lambda: rules, socket_path, values)
    server = Server(loop, values)
    listening = listen_tcp("127.0.0.1", 0)
    server.add_listener(listening, "hook", Router(room.routes()))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        server.server_close()
        loop.close()


def post(
    port: int, headers: Iterable[tuple[str, str]], body: bytes, path: str = "/"
) -> tuple[int, dict[str, Any]]:
    """Send one webhook as it is; status and JSON of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.putrequest("POST", path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    said: dict[str, Any] = json.loads(answer.read())
    said["retry_after"] = answer.getheader("Retry-After")
    connection.close()
    return answer.status, said


def ask_raw(path: str, data: bytes, seconds: float = PATIENCE_S) -> bytes:
    """Send bytes to a Unix socket and read until the other side ends."""
    answer = b""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        connection.connect(path)
        with suppress(BrokenPipeError):  # refused before all was read
            connection.sendall(data)
        with suppress(ConnectionResetError):
            while more := connection.recv(65536):
                answer += more
    return answer


def until(true: Any, what: str, seconds: float = PATIENCE_S) -> None:
    """Wait until ``true()``; a generous end so that a failure is told, not hung."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.01)


@dataclass
class Pushes:
    """A forge that tells of pushes of the tag PROD, as a Gitea does."""

    port: int
    repository: Repository | None = None
    count: int = 0

    @property
    def repo(self) -> Repository:
        assert self.repository is not None
        return self.repository

    def push(self, commit: str, *, tag: str = "PROD", event: str = "push") -> str:
        """Move the tag and tell of it; the delivery's id."""
        self.repo.tag(tag, commit)
        return self.tell(commit, tag=tag, event=event)

    def tell(self, value: str, *, tag: str = "PROD", event: str = "push") -> str:
        """Tell of a push without making one."""
        self.count += 1
        delivery = f"delivery-{self.count}"
        status, said = self.send(value, delivery, tag=tag, event=event)
        assert status in (200, 202), said
        return delivery

    def send(
        self, value: str, delivery: str, *, tag: str = "PROD", event: str = "push"
    ) -> tuple[int, dict[str, Any]]:
        """Send one delivery; status and JSON of the answer."""
        payload: dict[str, Any] = {"repository": {"full_name": "timmy/fleet-ops"}}
        if event == "push":
            payload |= {"ref": f"refs/tags/{tag}", "before": "0" * 40, "after": value}
        else:
            payload |= {"ref": tag, "ref_type": "tag", "sha": value}
        payload["sender"] = {"login": "timmy"}
        body = json.dumps(payload).encode()
        return post(self.port, gitea_headers(body, event, delivery), body)


def gitea_headers(
    body: bytes, event: str = "push", delivery: str = "1", **more: str
) -> list[tuple[str, str]]:
    """The headers of a Gitea's delivery, rightly signed."""
    fields = {
        "Host": "127.0.0.1",
        "Content-Length": str(len(body)),
        "Content-Type": "application/json",
        "X-Gitea-Event": event,
        "X-Gitea-Delivery": delivery,
        "X-Gitea-Signature": sign(SECRET, body),
    }
    return list((fields | {name.replace("_", "-"): value for name, value in more.items()}).items())
