"""Messages between real daemons: stored, delivered, in order, whoever is away or slow."""

from __future__ import annotations

import json
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.busfleet import QUICK, BusFleet, until


@pytest.fixture
def folder() -> Iterator[Path]:
    # Short: a Unix socket's path has room for 107 bytes.
    with tempfile.TemporaryDirectory(prefix="fa-") as made:
        yield Path(made)


def numbered(first: int, last: int) -> bytes:
    """A batch of ezra's to bezalel."""
    return b"".join(
        b'{"from":"ezra","to":"bezalel","type":"request","payload":%d,"timestamp":1}\n' % number
        for number in range(first, last)
    )


def test_a_message_arrives_byte_for_byte_with_the_id_it_was_given(folder: Path) -> None:
    with BusFleet(folder) as fleet:
        fleet.start()
        raw = '{"from":"ezra",  "to":"bezalel","type":"request","payload":"é\\u00e9","timestamp":1}'
        status, said = fleet.ask("ezra", "POST", "/message", raw.encode())
        assert status == 202
        id_ = json.loads(said)["id"]
        until(lambda: fleet.inbox("bezalel"))
        body = fleet.rows("bezalel", "SELECT body FROM inbox")[0][0]
        assert body == raw[:-1].encode() + f',"id":"{id_}"}}'.encode()


def test_what_is_for_one_who_is_away_waits_and_comes_in_its_order(folder: Path) -> None:
    with BusFleet(folder) as fleet:
        fleet.start("ezra")
        assert fleet.ask("ezra", "POST", "/message", numbered(0, 1000))[0] == 202
        assert fleet.send("ezra", "bezalel", "fire", type="alert")[0] == 202
        assert fleet.ask("ezra", "POST", "/message", numbered(1000, 2000))[0] == 202
        assert fleet.health("ezra", "bus:outbox")["observedValue"] == 2001
        until(lambda: fleet.health("ezra", "bus:peers")["observedValue"] == 1)
        fleet.start("bezalel")
        until(lambda: len(fleet.inbox("bezalel")) == 2001)
        # The alert overtakes what was sent before it.
        assert fleet.inbox("bezalel") == ["fire", *range(2000)]
        until(lambda: fleet.health("ezra", "bus:outbox")["observedValue"] == 0)


def test_what_waits_survives_the_senders_restart(folder: Path) -> None:
    with BusFleet(folder) as fleet:
        fleet.start("ezra")
        fleet.ask("ezra", "POST", "/message", numbered(0, 700))
        assert fleet.end("ezra") == 0
        fleet.start("ezra")
        fleet.ask("ezra", "POST", "/message", numbered(700, 1000))
        fleet.start("bezalel")
        until(lambda: len(fleet.inbox("bezalel")) == 1000)
        assert fleet.inbox("bezalel") == list(range(1000))


def test_a_receiver_that_takes_and_never_answers_delays_nobody_else(folder: Path) -> None:
    with BusFleet(folder, ("ezra", "bezalel", "allegro")) as fleet:
        silent = socket.create_server(("127.0.0.1", fleet.ports["bezalel"]))
        fleet.start("ezra", "allegro")
        fleet.ask("ezra", "POST", "/message", numbered(0, 1000))
        fleet.send("ezra", "allegro", "quick")
        until(lambda: fleet.inbox("allegro") == ["quick"])
        assert fleet.health("ezra", "bus:outbox")["observedValue"] == 1000
        # It was connected to, and is held to its time.
        silent.accept()[0].close()
        silent.close()
        fleet.start("bezalel")
        until(lambda: fleet.inbox("bezalel") == list(range(1000)))


def test_a_receiver_that_answers_nonsense_is_tried_again(folder: Path) -> None:
    with BusFleet(folder) as fleet:
        nonsense = socket.create_server(("127.0.0.1", fleet.ports["bezalel"]))
        fleet.start("ezra")
        fleet.send("ezra", "bezalel", "one")
        for answer in (b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 202 Accepted\r\n\r\n",
                       b"HTTP/1.1 207 M\r\nContent-Length: 3\r\n\r\n{}\n"):  # fmt: skip
            line, _ = nonsense.accept()
            assert line.recv(65536).startswith(b"POST /message ")
            line.sendall(answer)
            assert line.recv(65536) == b"", "it ends the connection"
            line.close()
        nonsense.close()
        fleet.start("bezalel")
        until(lambda: fleet.inbox("bezalel") == ["one"])
        assert fleet.health("ezra", "bus:dead-letters")["observedValue"] == 0


def test_a_broadcast_reaches_every_other_wizard_with_one_outcome_each(folder: Path) -> None:
    with BusFleet(folder, ("ezra", "bezalel", "allegro")) as fleet:
        fleet.start("ezra", "bezalel")
        status, said = fleet.send("ezra", "*", {"text": "x"}, type="broadcast")
        assert status == 202
        until(lambda: fleet.inbox("bezalel") == [{"text": "x"}])

        def outcomes() -> dict[str, str]:
            told = fleet.ask("ezra", "GET", f"/message/{said['id']}")[1]
            return {one["to"]: one["state"] for one in told["deliveries"]}

        until(lambda: outcomes() == {"allegro": "accepted", "bezalel": "delivered"})
        assert fleet.inbox("ezra") == []
        fleet.start("allegro")
        until(lambda: outcomes() == {"allegro": "delivered", "bezalel": "delivered"})
        assert fleet.inbox("allegro") == [{"text": "x"}]


def test_a_capability_picks_one_and_sticks_to_it(folder: Path) -> None:
    able = {"bezalel": ["code"], "allegro": ["code"]}
    with BusFleet(folder, ("ezra", "bezalel", "allegro"), capabilities=able) as fleet:
        fleet.start("ezra")
        # Nobody is there: the first is picked, and keeps the message.
        fleet.send("ezra", "capability:code", "one")
        until(lambda: fleet.health("ezra", "bus:peers")["observedValue"] == 1)
        # The first is known not to be reachable, so the next request goes to the other.
        fleet.send("ezra", "capability:code", "two")
        fleet.start("allegro")
        until(lambda: fleet.inbox("allegro") == ["two"])
        fleet.start("bezalel")
        until(lambda: fleet.inbox("bezalel") == ["one"])
        assert fleet.inbox("allegro") == ["two"]


def test_a_full_box_of_the_receiver_loses_nothing_and_keeps_order(folder: Path) -> None:
    with BusFleet(folder) as fleet:
        fleet.configure("bezalel", {**QUICK, "inbox_messages": 100})
        fleet.start()
        fleet.ask("ezra", "POST", "/message", numbered(0, 1000))
        until(lambda: len(fleet.inbox("bezalel")) == 100)
        until(lambda: fleet.health("ezra", "bus:peers")["observedValue"] == 1)
        assert fleet.health("ezra", "bus:outbox")["observedValue"] == 900
        fleet.configure("bezalel", QUICK)
        fleet.daemons["bezalel"].send(signal.SIGHUP)
        until(lambda: len(fleet.inbox("bezalel")) == 1000)
        assert fleet.inbox("bezalel") == list(range(1000))


def test_a_full_outbox_answers_429_and_takes_again_when_there_is_room(folder: Path) -> None:
    with BusFleet(folder, ("ezra", "bezalel", "allegro")) as fleet:
        fleet.configure("ezra", {**QUICK, "outbox_peer_messages": 10})
        fleet.start("ezra", "allegro")
        assert fleet.ask("ezra", "POST", "/message", numbered(0, 12))[0] == 207
        status, said = fleet.send("ezra", "bezalel")
        assert (status, said["title"]) == (429, "the box is full")
        assert "10 messages wait for bezalel" in said["detail"]
        # Another receiver has room.
        assert fleet.send("ezra", "allegro")[0] == 202
        fleet.start("bezalel")
        until(lambda: fleet.inbox("bezalel") == list(range(10)))
        until(lambda: fleet.send("ezra", "bezalel")[0] == 202)


def test_a_message_too_large_for_the_receiver_is_refused_and_others_go_on(folder: Path) -> None:
    with BusFleet(folder) as fleet:
        fleet.configure("bezalel", {**QUICK, "http_body_bytes": 4096})
        fleet.start()
        for payload in ("first", "x" * 5000, "last"):
            fleet.send("ezra", "bezalel", payload)
        until(lambda: fleet.inbox("bezalel") == ["first", "last"])
        found = until(lambda: fleet.ask("ezra", "GET", "/dead-letters")[1]["dead_letters"])
        assert [one["message"]["payload"] for one in found] == ["x" * 5000]
        assert "413" in found[0]["reason"]


def test_a_timestamp_ahead_of_the_receivers_clock_waits_and_is_shown(folder: Path) -> None:
    with BusFleet(folder) as fleet:
        fleet.configure("bezalel", {**QUICK, "message_future_seconds": 1})
        fleet.start()
        ahead = time.time() + 6
        fleet.send("ezra", "bezalel", "early", timestamp=ahead)
        found = until(lambda: fleet.health("ezra", "bus:peers").get("output"))
        assert "bezalel refuses the time of a message" in found
        assert fleet.inbox("bezalel") == []
        until(lambda: fleet.inbox("bezalel") == ["early"])
        assert time.time() > ahead - 1
        assert fleet.ask("ezra", "GET", "/dead-letters")[1]["count"] == 0


def test_what_is_shared_reaches_those_who_subscribed_one_outcome_each(folder: Path) -> None:
    wanted = {"bezalel": ["lessons"], "allegro": ["lessons", "releases"]}
    names = ("ezra", "bezalel", "allegro", "timmy")
    with BusFleet(folder, names, subscriptions=wanted) as fleet:
        fleet.start()
        lesson = {"topic": "lessons", "text": "measure first"}
        assert fleet.send("ezra", "*", lesson, type="broadcast", id="b1")[0] == 202
        assert fleet.send("ezra", "*", {"text": "all"}, type="broadcast", id="b2")[0] == 202
        status, said = fleet.send("ezra", "*", {"topic": "lesons"}, type="broadcast")
        assert (status, said["mend"]) == (404, "did you mean 'lessons'?")
        until(lambda: fleet.health("ezra", "bus:outbox")["observedValue"] == 0)
        assert fleet.inbox("bezalel") == fleet.inbox("allegro") == [lesson, {"text": "all"}]
        assert fleet.inbox("timmy") == [{"text": "all"}]
        told = fleet.ask("ezra", "GET", "/message/b1")[1]["deliveries"]
        assert [(one["to"], one["state"]) for one in told] == [
            ("allegro", "delivered"), ("bezalel", "delivered"),
        ]  # fmt: skip
        shown = fleet.ask("bezalel", "GET", "/registry")[1]["wizards"]
        assert [one.get("subscriptions", []) for one in shown] == [
            [], ["lessons"], ["lessons", "releases"], [],
        ]  # fmt: skip
