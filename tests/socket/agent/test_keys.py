"""A real daemon with keys: who gets in, and that a rotation under load refuses nobody."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.deploy.pairkeys import pair_key
from fleet_agent.signing import sign_with
from tests.daemon import Daemon, Machine, ask

MASTER = bytes(range(32))
TOKEN, LOCAL = "fat_alexander", "the-agents-own"


def key(epoch: int) -> bytes:
    return pair_key(MASTER, "timmy", epoch, "ezra", "bezalel")


def place(machine: Machine, epochs: Sequence[int]) -> None:
    """What phase keys places."""
    folder = machine.root / "etc/fleet-agent/ezra/keys"
    folder.mkdir(parents=True, exist_ok=True)
    pairs = [{"epoch": one, "key": b64encode(key(one)).decode()} for one in epochs]
    token = {
        "id": "t",
        "principal": "alexander",
        "sha256": hashlib.sha256(TOKEN.encode()).hexdigest(),
    }
    for name, value in (
        ("pairs.json", {"v": 1, "wizard": "ezra", "pairs": {"bezalel": pairs}}),
        ("tokens.json", {"v": 1, "wizard": "ezra", "tokens": [token]}),
        ("token", None),
    ):
        text = LOCAL if value is None else json.dumps(value)
        (folder / f"{name}.new").write_text(text)
        (folder / f"{name}.new").replace(folder / name)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.install()
    place(made, (1,))
    return made


@pytest.fixture
def daemon(machine: Machine) -> Iterator[Daemon]:
    with Daemon(machine.argv()) as started:
        yield started
        assert started.end() == 0, started.log


def body(sender: str, **more: Any) -> bytes:
    value = {"from": sender, "to": "ezra", "type": "request", "payload": 1, "timestamp": 1}
    return json.dumps(value | more).encode()


def send(
    port: int, raw: bytes, epochs: Sequence[int], *, sender: str = "bezalel", ago: int = 0
) -> tuple[int, Any]:
    """Send as bezalel's daemon does."""
    id_, at = f"m{os.urandom(8).hex()}", int(time.time()) - ago
    headers = {
        "webhook-id": id_, "webhook-timestamp": str(at), "fleet-from": sender,
        "webhook-signature": sign_with([key(one) for one in epochs], id_, at, raw),
    }  # fmt: skip
    return ask(port, "POST", "/message", raw, headers)[:2]


def depth(daemon: Daemon) -> int:
    health = ask(daemon.port, "GET", "/health")[1]
    return int(health["checks"]["bus:depth"][0]["observedValue"])


def test_each_caller_is_itself_and_everybody_else_is_refused_aloud(daemon: Daemon) -> None:
    def bearer(token: str, sender: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return ask(daemon.port, "POST", "/message", body(sender), headers)[0]

    assert send(daemon.port, body("bezalel"), (1,))[0] == 202
    assert bearer(TOKEN, "alexander") == bearer(LOCAL, "ezra") == 202
    kept = depth(daemon)
    refused = [
        send(daemon.port, body("bezalel"), (2,))[0],
        send(daemon.port, body("bezalel"), (1,), sender="allegro")[0],
        send(daemon.port, body("bezalel"), (1,), ago=3600)[0],
        ask(daemon.port, "POST", "/message", body("ezra"))[0],
        bearer("fat_other", "alexander"),
        send(daemon.port, body("ezra"), (1,))[0],
        bearer(TOKEN, "ezra"),
        bearer(LOCAL, "bezalel"),
    ]
    assert refused == [401] * 5 + [403] * 3
    assert depth(daemon) == kept
    assert daemon.log.count(": refused POST /message") == len(refused)
    assert not any(one in daemon.log for one in (TOKEN, LOCAL, b64encode(key(1)).decode()))


def test_rotations_under_load_refuse_no_message(machine: Machine, daemon: Daemon) -> None:
    known: list[Sequence[int]] = [(1,)]
    answers: list[list[int]] = [[], [], []]
    stop = threading.Event()

    def load(own: list[int]) -> None:
        while not stop.is_set():
            own.append(send(daemon.port, body("bezalel"), known[-1])[0])

    def until_each_has(more: int) -> None:
        wanted = [len(own) + more for own in answers]
        while any(len(own) < many for own, many in zip(answers, wanted, strict=True)):
            time.sleep(0.01)

    senders = [threading.Thread(target=load, args=(own,)) for own in answers]
    for one in senders:
        one.start()
    for epoch in range(2, 8):
        epochs = (epoch, epoch - 1)
        # A deploy reaches now the sender first, now the receiver.
        if epoch % 2:
            known.append(epochs)
        place(machine, epochs)
        daemon.send(signal.SIGHUP)
        daemon.until("READY=1")
        until_each_has(7)
        known.append(epochs)
        # What is on its way is signed with the epochs before; the next rotation comes behind it.
        until_each_has(2)
    stop.set()
    for one in senders:
        one.join()
    assert {status for own in answers for status in own} == {202}
    assert send(daemon.port, body("bezalel"), (1,))[0] == 401, "an epoch of long ago"


def test_keys_that_cannot_be_read_leave_the_old_ones_in_force(
    machine: Machine, daemon: Daemon
) -> None:
    (machine.root / "etc/fleet-agent/ezra/keys/pairs.json").write_text("{")
    daemon.send(signal.SIGHUP)
    daemon.until("READY=1")
    health = ask(daemon.port, "GET", "/health")[1]
    assert health["status"] == "warn" and "pairs.json" in health["output"][0]
    assert send(daemon.port, body("bezalel"), (1,))[0] == 202
