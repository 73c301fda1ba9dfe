"""The demo's forge: a push ends in signed webhooks that the hook's own reader takes for Gitea's."""

from __future__ import annotations

import http.server
import sys
import threading
import time
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from fleet_agent.forge import webhook
from fleet_agent.forge.events import Ignored, Refusal, TagPush, Verdict
from fleet_agent.forge.rules import HookRules
from fleet_agent.setup.demo import forge
from fleet_agent.setup.demo.ground import DemoNode, Ground
from fleet_agent.setup.git import WorkTree

WAIT_S = 20.0
Received = list[tuple[Message, bytes]]


@pytest.fixture
def received() -> Iterator[tuple[int, Received]]:
    """A port, and the webhooks that arrive at it."""
    got: Received = []

    class Taker(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(202)
            self.send_header("Content-Length", "3")
            self.end_headers()
            self.wfile.write(b"ok\n")

        def log_message(self, format: str, *args: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1], got
    server.shutdown()
    server.server_close()


def ground_at(place: Path, port: int) -> Ground:
    node = DemoNode("ezra", "127.0.0.1", place / "nodes/127.0.0.1", 8646)
    (place / "logs").mkdir()
    return Ground(place, (node,), port, "hush")


def checkout(ground: Ground) -> WorkTree:
    """A clone with one commit."""
    tree = WorkTree(ground.fleet_ops)
    ground.fleet_ops.mkdir()
    tree.git("init", "--quiet", "--initial-branch=main")
    tree.git("remote", "add", "origin", str(ground.forge))
    (ground.fleet_ops / "a").write_text("a")
    tree.commit(["a"], "Begin")
    return tree


def wait_for(got: Received, count: int) -> None:
    end = time.monotonic() + WAIT_S
    while len(got) < count and time.monotonic() < end:
        time.sleep(0.02)


def judged(ground: Ground, one: tuple[Message, bytes], secret: bytes = b"hush") -> Verdict:
    rules = HookRules("PROD", str(ground.forge))
    headers, body = one
    return webhook.read(headers, body, [secret], rules)


def test_a_pushed_tag_arrives_twice_signed_and_as_one_push(
    tmp_path: Path, received: tuple[int, Received]
) -> None:
    port, got = received
    ground = ground_at(tmp_path, port)
    forge.make(ground)
    tree = checkout(ground)
    tree.git("push", "--quiet", "origin", "main")
    wait_for(got, 1)
    tree.git("tag", "PROD")
    tree.git("push", "--quiet", "origin", "PROD")
    wait_for(got, 3)
    branch, push, create = (judged(ground, one) for one in got)
    assert isinstance(branch, Ignored)
    assert isinstance(push, TagPush)
    assert isinstance(create, TagPush)
    assert (push.tag, push.hint, push.twin) == ("PROD", tree.commit_of("HEAD"), False)
    assert (create.tag, create.twin) == ("PROD", True)
    assert len({push.delivery.id, create.delivery.id}) == 2
    said = forge.deliveries(ground)
    assert [line.split()[0] for line in said] == ["push", "push", "create"]
    assert all(": 202 ok" in line for line in said)


def test_another_secret_is_refused_and_a_deleted_tag_deploys_nothing(
    tmp_path: Path, received: tuple[int, Received]
) -> None:
    port, got = received
    ground = ground_at(tmp_path, port)
    forge.make(ground)
    tree = checkout(ground)
    tree.git("tag", "PROD")
    tree.git("push", "--quiet", "origin", "PROD")
    tree.git("push", "--quiet", "--delete", "origin", "PROD")
    wait_for(got, 4)
    refused = judged(ground, got[0], b"another")
    assert isinstance(refused, Refusal)
    assert refused.status == 401
    assert [type(judged(ground, one)) for one in got[2:4]] == [Ignored, Ignored]


def test_a_push_goes_through_when_nobody_takes_the_webhook(tmp_path: Path) -> None:
    ground = ground_at(tmp_path, 1)
    forge.make(ground)
    tree = checkout(ground)
    tree.git("push", "--quiet", "origin", "main")
    end = time.monotonic() + WAIT_S
    while not forge.deliveries(ground) and time.monotonic() < end:
        time.sleep(0.02)
    assert "nobody took it" in forge.deliveries(ground)[0]
    assert sys.executable in (ground.forge / "hooks/post-receive").read_text()
