"""Clients that go away in the middle of a wait: nothing of them is left."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.busfleet import BusFleet


@pytest.fixture
def fleet() -> Iterator[BusFleet]:
    with tempfile.TemporaryDirectory(prefix="fa-") as folder, BusFleet(Path(folder)) as made:
        made.start("bezalel")
        yield made


def test_who_went_away_while_waiting_leaves_nothing_that_delays_the_end(fleet: BusFleet) -> None:
    for target in ("/inbox?wait=25", "/message/none?wait=25"):
        with socket.socket(socket.AF_UNIX) as gone:
            gone.connect(fleet.socket("bezalel"))
            gone.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            # What is answered later than this was read later.
            assert fleet.ask("bezalel", "GET", "/health")[0] == 200
    assert fleet.ask("bezalel", "GET", "/health")[0] == 200
    daemon = fleet.daemons["bezalel"]
    assert daemon.end() == 0
    assert "bezalel: ended" in daemon.log
    assert "did not end in time" not in daemon.log
