"""Daemons with keys: signed and checked; keys that differ or change lose nothing."""

from __future__ import annotations

import json
import signal
import tempfile
from binascii import b2a_base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.busfleet import BusFleet, until


class KeyedFleet(BusFleet):
    """ezra and bezalel, where strangers are not believed."""

    def configure(self, name: str, limits: Mapping[str, float]) -> None:
        super().configure(name, limits)
        path = self.folder / f"{name}.yaml"
        settings: dict[str, Any] = json.loads(path.read_text())
        path.write_text(json.dumps(settings | {"unsigned": "refuse"}))

    def keys(self, name: str, *epochs: int) -> None:
        """Place the pair's keys of these epochs, as phase keys would, and reload."""
        other = "bezalel" if name == "ezra" else "ezra"
        keys = [
            {"epoch": epoch, "key": b2a_base64(bytes([epoch]) * 32, newline=False).decode()}
            for epoch in epochs
        ]
        folder = self.folder / name / "keys"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pairs.json").write_text(
            json.dumps({"v": 1, "wizard": name, "pairs": {other: keys}})
        )
        (folder / "pairs.json").chmod(0o600)
        if name in self.daemons:
            self.daemons[name].send(signal.SIGHUP)


@pytest.fixture
def fleet() -> Iterator[KeyedFleet]:
    with tempfile.TemporaryDirectory(prefix="fa-") as folder, KeyedFleet(Path(folder)) as made:
        yield made


def test_signed_messages_arrive_and_lives_are_told_over_signed_questions(
    fleet: KeyedFleet,
) -> None:
    fleet.keys("ezra", 1)
    fleet.keys("bezalel", 1)
    fleet.start()
    assert fleet.send("ezra", "bezalel", "signed", id="one")[0] == 202
    until(lambda: fleet.inbox("bezalel") == ["signed"])
    until(lambda: fleet.health("ezra", "bus:outbox")["observedValue"] == 0)
    told = fleet.ask("ezra", "GET", "/message/one")[1]
    assert told["deliveries"][0]["receiver"]["state"] == "delivered"


@pytest.mark.parametrize("missing", ["ezra", "bezalel"])
def test_without_the_key_of_one_side_all_waits_and_health_says_why(
    fleet: KeyedFleet, missing: str
) -> None:
    other = "bezalel" if missing == "ezra" else "ezra"
    fleet.keys(other, 1)
    fleet.start()
    fleet.send("ezra", "bezalel", "waits")
    said = until(lambda: fleet.health("ezra", "bus:peers").get("output"))
    assert "bezalel does not let us in: 401" in said
    assert fleet.inbox("bezalel") == []
    fleet.keys(missing, 1)
    until(lambda: fleet.inbox("bezalel") == ["waits"])
    assert fleet.ask("ezra", "GET", "/dead-letters")[1]["count"] == 0


def test_a_rotation_that_reaches_one_side_first_loses_nothing_under_load(
    fleet: KeyedFleet,
) -> None:
    for name in ("ezra", "bezalel"):
        fleet.keys(name, 1)
    fleet.start()
    sent = 0

    def load(count: int) -> None:
        nonlocal sent
        for _ in range(count):
            assert fleet.send("ezra", "bezalel", sent)[0] == 202
            sent += 1

    for name, epochs in (
        ("bezalel", (2, 1)), ("ezra", (2, 1)), ("ezra", (2,)), ("bezalel", (2,)),
        ("ezra", (3, 2)), ("bezalel", (3, 2)), ("bezalel", (3,)), ("ezra", (3,)),
    ):  # fmt: skip
        load(15)
        fleet.keys(name, *epochs)
    load(15)
    until(lambda: len(fleet.inbox("bezalel")) == sent)
    assert fleet.inbox("bezalel") == list(range(sent))
    assert fleet.ask("ezra", "GET", "/dead-letters")[1]["count"] == 0
    # Both always shared an epoch, so nothing was refused either.
    assert "not delivered" not in fleet.daemons["ezra"].log
