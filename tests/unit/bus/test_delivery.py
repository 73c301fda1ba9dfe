"""What is too late is given up by time that passes, whatever the clock says; names are resolved."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.bus.delivery import Delivery, Resolver
from fleet_agent.bus.steady import Steady
from fleet_agent.errors import FleetError
from fleet_agent.httpd.dial import Url, read_url
from fleet_agent.httpd.loop import Loop
from fleet_agent.httpd.tls import Secured
from fleet_agent.limits import Limits
from fleet_agent.registry.parse import parse
from tests.unit.bus.busparts import Boxes

LIMITS = Limits({"outbox_retry_first_seconds": 0.01, "outbox_retry_most_seconds": 0.05})
# Nobody listens there: port 1 of loopback.
FLEET = parse(
    """
wizards:
  ezra:    {host: 127.0.0.1, role: orchestrator}
  bezalel: {host: 127.0.0.1, listen: {port: 1}}
  allegro: {host: 127.0.0.1, health_endpoint: "https://localhost:2/health", listen: {port: 2}}
"""
)


def no_tls(url: Url, ours: bool) -> Secured:
    raise FleetError("the certificates of the fleet's CA can't be used")


class World:
    """A delivery whose clocks are in our hands."""

    def __init__(self, folder: Path) -> None:
        self.loop = Loop()
        self.ahead = 0.0  # of the wall clock
        self.later = 0.0  # that has passed
        clock = Steady(
            lambda: time.time() + self.ahead + self.later, lambda: time.monotonic() + self.later
        )
        self.boxes = Boxes(folder, LIMITS, now=clock.now)
        self.delivery = Delivery(
            self.loop, self.boxes.turn, self.boxes.outbox, me="ezra", registry=lambda: FLEET,
            limits=LIMITS, sign=lambda receiver, id_, body: (), clock=clock, secure=no_tls,
        )  # fmt: skip
        self.loop.on_turn_end(self.boxes.turn.commit)
        self.delivery.start()

    def turn(self, seconds: float = 1.3) -> None:
        """Let the loop run: one tick at least."""
        self.loop.call_later(seconds, self.loop.stop)
        self.loop.run()

    def states(self) -> list[Any]:
        return [row[0] for row in self.boxes.rows("SELECT state FROM delivery ORDER BY number")]

    def close(self) -> None:
        self.delivery.stop()
        self.boxes.close()
        self.loop.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_time_that_passes_ends_a_life(world: World) -> None:
    world.boxes.send(ttl=3600)
    world.boxes.send(ttl=36000)
    world.turn()
    world.later = 3700.0
    world.turn()
    assert world.states() == [2, 0]


@pytest.mark.parametrize("jump", [365 * 86400.0, -365 * 86400.0])
def test_a_clock_that_jumps_does_not(world: World, jump: float) -> None:
    world.boxes.send(ttl=3600)
    world.turn()
    world.ahead = jump
    world.boxes.send(ttl=3600)
    world.turn()
    world.turn()
    assert world.states() == [0, 0]
    world.later = 3700.0
    world.turn()
    assert world.states() == [2, 2]


def test_a_receiver_that_is_away_is_trouble_until_nothing_waits_for_it(world: World) -> None:
    world.boxes.send(ttl=3600)
    world.turn()
    (peer,) = world.delivery.troubled()
    assert (peer.name, peer.trouble) == ("bezalel", "connecting: Connection refused")
    assert world.delivery.rank("bezalel") > world.delivery.rank("allegro") == 0
    world.later = 3700.0
    world.turn()
    world.turn(0.2)
    assert world.delivery.troubled() == []


def test_without_anybody_to_believe_https_is_not_spoken_and_says_so(world: World) -> None:
    world.boxes.send("allegro")
    world.turn()
    assert "the fleet's CA can't be used" in world.delivery.troubled()[0].trouble
    assert world.states() == [0]


def test_one_who_is_not_in_the_registry_any_more_keeps_its_messages(world: World) -> None:
    world.boxes.send("gideon")
    world.turn()
    assert "gideon" in world.delivery.troubled()[0].trouble
    assert world.states() == [0]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_addresses_at_once_and_names_beside_the_loop(host: str) -> None:
    loop = Loop()
    found: list[Any] = []

    def heard(answer: Any) -> None:
        found.append(answer)
        loop.call_next_turn(loop.stop)

    Resolver(loop).resolve(read_url(f"http://{host}:8646/health"), 0, heard)
    assert len(found) == (1 if host == "127.0.0.1" else 0)
    loop.call_later(30, loop.stop)
    loop.run()
    loop.close()
    family, place = found[0]
    assert family in (socket.AF_INET, socket.AF_INET6)
    assert place[1] == 8646
