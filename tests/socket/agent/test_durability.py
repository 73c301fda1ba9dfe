"""What was answered 202 is on disk, however the process ends; what is not sure is not answered."""

from __future__ import annotations

import http.client
import json
import resource
import signal
import sqlite3
import threading
from pathlib import Path

import pytest

from tests.daemon import Daemon, Machine, ask

CLIENTS = 4


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.install()
    return made


def body(id_: str, size: int = 100) -> bytes:
    return json.dumps(
        {
            "from": "ezra",
            "to": "ezra",
            "type": "request",
            "payload": "x" * size,
            "timestamp": 1,
            "id": id_,
        }
    ).encode()


def stored(machine: Machine) -> list[str]:
    connection = sqlite3.connect(machine.state() / "bus.db")
    try:
        return [row[0] for row in connection.execute("SELECT id FROM inbox ORDER BY seq")]
    finally:
        connection.close()


class Sender(threading.Thread):
    """Sends numbered messages over one connection until it breaks; keeps what was answered."""

    def __init__(self, name: str, port: int, enough: threading.Semaphore) -> None:
        super().__init__()
        self.accepted: list[str] = []
        self._prefix = name
        self._port = port
        self._enough = enough

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            for number in range(100_000):
                id_ = f"{self._prefix}-{number}"
                connection.request("POST", "/message", body(id_))
                answer = connection.getresponse()
                answer.read()
                if answer.status != 202:
                    return
                self.accepted.append(id_)
                self._enough.release()
        except (OSError, http.client.HTTPException):
            return  # killed: what matters is what was answered before
        finally:
            connection.close()


@pytest.mark.parametrize("rounds", [1, 2])
def test_after_kill_9_every_accepted_message_is_there_in_its_order(
    machine: Machine, rounds: int
) -> None:
    accepted: dict[str, list[str]] = {}
    for turn in range(rounds):
        enough = threading.Semaphore(0)
        with Daemon(machine.argv()) as daemon:
            senders = [Sender(f"r{turn}s{n}", daemon.port, enough) for n in range(CLIENTS)]
            for sender in senders:
                sender.start()
            for _ in range(200):
                assert enough.acquire(timeout=60)
            assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
            for sender in senders:
                sender.join()
                accepted[sender._prefix] = sender.accepted
    found = stored(machine)
    assert len(found) == len(set(found))
    for prefix, ids in accepted.items():
        mine = [id_ for id_ in found if id_.startswith(prefix + "-")]
        assert mine[: len(ids)] == ids, "lost, or in another order"
        # At most the one that was under way came in without its answer.
        assert len(mine) <= len(ids) + 1


def test_after_kill_9_a_repeat_is_still_a_duplicate(machine: Machine) -> None:
    with Daemon(machine.argv()) as daemon:
        assert ask(daemon.port, "POST", "/message", body("a"))[0] == 202
        daemon.end(signal.SIGKILL)
    with Daemon(machine.argv()) as daemon:
        assert ask(daemon.port, "POST", "/message", body("a"))[0] == 200
        assert ask(daemon.port, "POST", "/message", body("a", 99))[0] == 409
        assert ask(daemon.port, "GET", "/health")[1]["checks"]["bus:depth"][0]["observedValue"] == 1


def test_a_write_that_fails_ends_the_process_and_answers_nobody(machine: Machine) -> None:
    accepted = []
    with Daemon(machine.argv()) as daemon:
        # The kernel refuses to let any file of it grow further: EFBIG, as a broken disk's EIO.
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (400_000, 400_000))
        with pytest.raises((OSError, http.client.HTTPException)):
            for number in range(100):
                status, _, _ = ask(daemon.port, "POST", "/message", body(f"n{number}", 20_000))
                assert status == 202
                accepted.append(f"n{number}")
        assert daemon.process.wait(20) not in (0, -signal.SIGKILL)
        assert "disk I/O error" in daemon.log
    assert 3 < len(accepted) < 100
    assert stored(machine) == accepted
