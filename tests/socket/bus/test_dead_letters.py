"""What can't be delivered: given up with its reason, told to its sender, retried or dropped."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.busfleet import QUICK, BusFleet, until


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fa-") as made:
        yield Path(made)


def dead(fleet: BusFleet, name: str = "ezra") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = fleet.ask(name, "GET", "/dead-letters")[1]["dead_letters"]
    return found


def test_what_outlives_its_time_is_given_up_and_its_sender_is_told(folder: Path) -> None:
    with BusFleet(folder) as fleet:
        fleet.start("ezra")
        fleet.send("ezra", "bezalel", "short", ttl=1, id="short")
        fleet.send("ezra", "bezalel", "long", id="long")
        (found,) = until(lambda: dead(fleet))
        assert (found["id"], found["to"]) == ("short", "bezalel")
        assert "time to live was over" in found["reason"]
        (told,) = fleet.inbox("ezra")
        assert told == {
            "error": "dead-letter", "message": "short", "to": "bezalel", "reason": found["reason"],
        }  # fmt: skip
        check = fleet.health("ezra", "bus:dead-letters")
        assert (check["status"], check["observedValue"]) == ("warn", 1)
        life = fleet.ask("ezra", "GET", "/message/short")[1]
        assert life["deliveries"][0]["state"] == "dead"
        assert life["response"]["in_reply_to"] == "short"
        # What was sent behind it goes on without it.
        fleet.start("bezalel")
        until(lambda: fleet.inbox("bezalel") == ["long"])


def test_a_dead_letter_is_tried_again_at_the_end_of_the_queue(folder: Path) -> None:
    with BusFleet(folder) as fleet:
        fleet.start("ezra")
        fleet.send("ezra", "bezalel", "first", ttl=1)
        (found,) = until(lambda: dead(fleet))
        fleet.send("ezra", "bezalel", "second")
        status, said = fleet.ask("ezra", "POST", f"/dead-letters/{found['number']}/retry", {})
        assert (status, said["status"]) == (200, "accepted")
        assert dead(fleet) == []
        fleet.start("bezalel")
        until(lambda: fleet.inbox("bezalel") == ["second", "first"])
        assert fleet.health("ezra", "bus:dead-letters")["status"] == "pass"


def test_a_retry_survives_a_restart_and_arrives_once(folder: Path) -> None:
    with BusFleet(folder) as fleet:
        fleet.start("ezra")
        fleet.send("ezra", "bezalel", "one", ttl=1)
        (found,) = until(lambda: dead(fleet))
        fleet.ask("ezra", "POST", f"/dead-letters/{found['number']}/retry", {})
        fleet.end("ezra")
        fleet.start()
        until(lambda: fleet.inbox("bezalel") == ["one"])
        until(lambda: fleet.health("ezra", "bus:outbox")["observedValue"] == 0)
        assert fleet.inbox("bezalel") == ["one"]


def test_a_dropped_letter_is_gone_and_cannot_be_dropped_twice(folder: Path) -> None:
    with BusFleet(folder) as fleet:
        fleet.start("ezra")
        fleet.send("ezra", "bezalel", "one", ttl=1, id="one")
        (found,) = until(lambda: dead(fleet))
        path = f"/dead-letters/{found['number']}/drop"
        assert fleet.ask("ezra", "POST", path, {})[0] == 200
        assert fleet.ask("ezra", "POST", path, {})[0] == 404
        assert dead(fleet) == []
        told = fleet.ask("ezra", "GET", "/message/one")[1]
        assert told["deliveries"][0]["state"] == "dropped"


def test_what_the_receiver_refuses_for_good_is_given_up_with_its_words(folder: Path) -> None:
    with BusFleet(folder) as fleet:
        fleet.configure("bezalel", {**QUICK, "message_payload_bytes": 1024})
        fleet.start()
        for payload in ("first", "x" * 2000, "last"):
            fleet.send("ezra", "bezalel", payload)
        (found,) = until(lambda: dead(fleet))
        assert found["reason"].startswith("bezalel refused it: 413, payload: is 2002 bytes")
        until(lambda: fleet.inbox("bezalel") == ["first", "last"])


def test_a_receiver_that_does_not_know_the_sender_is_given_time_then_it_is_given_up(
    folder: Path,
) -> None:
    with BusFleet(folder) as fleet:
        fleet.configure("ezra", {**QUICK, "outbox_refusals": 3})
        fleet.start("ezra")
        knows = (folder / "fleet.yaml").read_text()
        (folder / "fleet.yaml").write_text(knows.replace('"ezra"', '"stranger"'))
        fleet.start("bezalel")
        fleet.send("ezra", "bezalel", "one")
        (found,) = until(lambda: dead(fleet))
        assert "bezalel refused it: 403, from: the registry has no wizard 'ezra'" in found["reason"]
        (folder / "fleet.yaml").write_text(knows)
        fleet.daemons["bezalel"].send(signal.SIGHUP)
        until(lambda: fleet.send("ezra", "bezalel", "two")[0] == 202)
        until(lambda: "two" in fleet.inbox("bezalel"))


def test_a_conversation_without_end_is_stopped_by_its_hops(folder: Path) -> None:
    with BusFleet(folder) as fleet:
        for name in ("ezra", "bezalel"):
            fleet.configure(name, {**QUICK, "message_hops": 5})
        fleet.start()
        fleet.send("ezra", "bezalel", 0, id="m0")
        names = ("bezalel", "ezra")
        for turn in range(5):
            sender, receiver = names[turn % 2], names[(turn + 1) % 2]
            asked = f"m{turn}"
            until(partial(fleet.rows, sender, f"SELECT 1 FROM inbox WHERE id = '{asked}'"))
            status, said = fleet.send(
                sender, receiver, turn, type="response", in_reply_to=asked, id=f"m{turn + 1}"
            )
            assert status == 202, said
        until(lambda: fleet.rows("ezra", "SELECT 1 FROM inbox WHERE id = 'm5'"))
        status, said = fleet.send("ezra", "bezalel", 5, type="response", in_reply_to="m5")
        assert (status, said["where"], said["title"]) == (400, "hops", "too many hops")
        check = fleet.health("ezra", "bus:cycles")
        assert check["status"] == "warn"
        assert "conversation with bezalel stopped" in check["output"]


def test_replies_to_replies_have_a_rate_and_first_answers_have_none(folder: Path) -> None:
    with BusFleet(folder) as fleet:
        fleet.configure("ezra", {**QUICK, "pair_replies_per_minute": 2})
        fleet.start("ezra")
        for hops, expected in ((2, 202), (2, 202), (2, 429), (1, 202), (0, 202)):
            status, said = fleet.send("ezra", "bezalel", hops=hops)
            assert status == expected, said
        assert "bezalel" in fleet.health("ezra", "bus:cycles")["output"]
