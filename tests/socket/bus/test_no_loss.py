"""Daemons are killed while numbered messages flow: none lost, none twice, order kept a pair."""

from __future__ import annotations

import json
import random
import resource
import signal
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from fleet_agent.client import Client
from fleet_agent.errors import FleetError
from tests.busfleet import QUICK, BusFleet, until

KILLS = 8


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fa-") as made:
        yield Path(made)


class Agent(threading.Thread):
    """Sends numbered messages, alone and in batches, until it is told to stop."""

    def __init__(self, fleet: BusFleet, sender: str, receiver: str) -> None:
        super().__init__(daemon=True)
        self._client = Client(socket=fleet.socket(sender), wizard=sender, patience=60)
        self._receiver = receiver
        self.accepted = 0
        self.stop = threading.Event()
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                count = random.choice((1, 1, 40))
                self._client.send_many([
                    {"to": self._receiver, "payload": number, "id": f"n{number}"}
                    for number in range(self.accepted, self.accepted + count)
                ])  # fmt: skip
                self.accepted += count
        except FleetError as error:
            self.failure = error


def arrived(fleet: BusFleet, receiver: str, count: int) -> bool:
    return len(fleet.inbox(receiver)) >= count


def empty(fleet: BusFleet, name: str) -> bool:
    return bool(fleet.health(name, "bus:outbox")["observedValue"] == 0)


@pytest.mark.parametrize("victims", [("bezalel",), ("ezra",), ("ezra", "bezalel")])
def test_kill_9_loses_nothing_repeats_nothing_and_keeps_order(
    folder: Path, victims: tuple[str, ...]
) -> None:
    with BusFleet(folder) as fleet:
        fleet.start()
        there, back = Agent(fleet, "ezra", "bezalel"), Agent(fleet, "bezalel", "ezra")
        there.start()
        back.start()
        for _ in range(KILLS):
            time.sleep(random.uniform(0.02, 0.3))
            for name in victims:
                fleet.end(name, signal.SIGKILL)
            fleet.start(*victims)
        there.stop.set()
        back.stop.set()
        there.join()
        back.join()
        assert (there.failure, back.failure) == (None, None)
        assert min(there.accepted, back.accepted) > KILLS
        for agent, receiver in ((there, "bezalel"), (back, "ezra")):
            until(partial(arrived, fleet, receiver, agent.accepted))
            assert fleet.inbox(receiver) == list(range(agent.accepted))
        for name in ("ezra", "bezalel"):
            until(partial(empty, fleet, name))
            assert fleet.ask(name, "GET", "/dead-letters")[1]["count"] == 0
            assert "Traceback" not in fleet.daemons[name].log


def test_an_answer_that_got_lost_causes_no_second_message(folder: Path) -> None:
    with BusFleet(folder) as fleet:
        fleet.start()
        fleet.send("ezra", "bezalel", "one")
        until(lambda: fleet.health("ezra", "bus:outbox")["observedValue"] == 0)
        fleet.end("ezra")
        # As if the sender had died between the receiver's answer and its own commit.
        connection = sqlite3.connect(folder / "ezra/bus.db")
        connection.execute("UPDATE delivery SET state = 0, settled_at = NULL")
        connection.commit()
        connection.close()
        fleet.start("ezra")
        until(lambda: fleet.health("ezra", "bus:outbox")["observedValue"] == 0)
        assert fleet.inbox("bezalel") == ["one"]


def test_a_sender_put_back_from_a_backup_loses_nothing_new(folder: Path) -> None:
    with BusFleet(folder) as fleet:
        fleet.start()
        fleet.send("ezra", "bezalel", 0)
        until(lambda: len(fleet.inbox("bezalel")) == 1)
        fleet.end("ezra")
        backup = (folder / "ezra/bus.db").read_bytes()
        fleet.start("ezra")
        for number in (1, 2, 3):
            fleet.send("ezra", "bezalel", number)
        until(lambda: len(fleet.inbox("bezalel")) == 4)
        fleet.end("ezra")
        (folder / "ezra/bus.db").write_bytes(backup)
        fleet.start("ezra")
        for number in (4, 5, 6, 7):
            fleet.send("ezra", "bezalel", number)
        until(lambda: fleet.inbox("bezalel") == list(range(8)))


def test_a_receiver_that_lost_its_boxes_takes_what_comes_next(folder: Path) -> None:
    with BusFleet(folder) as fleet:
        fleet.start()
        fleet.send("ezra", "bezalel", 0)
        until(lambda: len(fleet.inbox("bezalel")) == 1)
        fleet.end("bezalel")
        for path in (folder / "bezalel").glob("bus.db*"):
            path.unlink()
        for number in range(1, 600):
            fleet.send("ezra", "bezalel", number)
        fleet.start("bezalel")
        until(lambda: fleet.inbox("bezalel") == list(range(1, 600)))


def test_a_write_that_fails_in_the_outbox_ends_the_process_and_answers_nobody(
    folder: Path,
) -> None:
    with BusFleet(folder) as fleet:
        fleet.start("ezra")
        accepted = 0
        # The kernel refuses to let any file of it grow further: EFBIG, as a broken disk's EIO.
        daemon = fleet.daemons["ezra"]
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (400_000, 400_000))
        with pytest.raises(FleetError):
            for _ in range(100):
                assert fleet.send("ezra", "bezalel", "x" * 20_000)[0] == 202
                accepted += 1
        assert daemon.process.wait(20) not in (0, -signal.SIGKILL)
        assert "disk I/O error" in daemon.log
        assert 3 < accepted < 100
        bodies = fleet.rows("ezra", "SELECT body FROM letter ORDER BY number")
        assert [json.loads(row[0])["payload"][:1] for row in bodies] == ["x"] * accepted


def test_many_that_wait_do_not_delay_a_start(folder: Path) -> None:
    with BusFleet(folder) as fleet:
        fleet.configure("ezra", {**QUICK, "batch_lines": 10_000})
        fleet.start("ezra")
        body = b"".join(
            b'{"from":"ezra","to":"bezalel","type":"request","payload":%d,"timestamp":1}\n' % number
            for number in range(10_000)
        )
        assert fleet.ask("ezra", "POST", "/message", body)[0] == 202
        fleet.end("ezra", signal.SIGKILL)
        fleet.start()
        until(lambda: len(fleet.inbox("bezalel")) == 10_000)
        assert fleet.inbox("bezalel") == list(range(10_000))
