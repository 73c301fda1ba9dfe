"""What health says of the bus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fleet_agent.gateway import buschecks
from fleet_agent.limits import Limits
from fleet_agent.wire import Health
from tests.unit.bus.busparts import Boxes, message

LIMITS = Limits({"inbox_messages": 100, "outbox_messages": 100})


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[Boxes]:
    made = Boxes(tmp_path, LIMITS)
    yield made
    made.close()


def test_the_inbox_shows_its_depth_and_warns_near_its_limit(boxes: Boxes) -> None:
    look = buschecks.inbox_check(boxes.inbox)
    one = message(**{"from": "bezalel", "to": "ezra"})
    for _ in range(79):
        boxes.inbox.put(one, boxes.done)
    assert (look().status, look().value) == (Health.PASS, 79)
    boxes.inbox.put(one, boxes.done)
    assert look().reason == "80 of 100 messages wait in the inbox"
    assert look().status is Health.WARN


def test_the_outbox_too(boxes: Boxes) -> None:
    look = buschecks.outbox_check(boxes.outbox)
    assert (look().status, look().value) == (Health.PASS, 0)
    boxes.send(*(f"w{number}" for number in range(80)), type="broadcast", to="*")
    assert look().reason == "80 of 100 messages wait in the outbox"


def test_the_age_of_the_oldest_message_that_is_not_handled(boxes: Boxes) -> None:
    look = buschecks.unhandled_check(boxes.leases, lambda: time.time() + 50)
    assert look().value == 0.0
    boxes.inbox.put(message(**{"from": "bezalel", "to": "ezra", "type": "alert"}), boxes.done)
    boxes.turn.commit()
    assert 50 <= float(str(look().value)) < 120
    (leased,) = boxes.leases.lease(limit=1)
    assert float(str(look().value)) >= 50, "handed out is not handled"
    boxes.leases.ack(leased.receipt)
    assert look().value == 0.0


def test_messages_that_are_handed_out_up_to_their_limit(tmp_path: Path) -> None:
    boxes = Boxes(tmp_path, Limits({"inbox_handed_out": 2}))
    look = buschecks.leased_check(boxes.leases)
    assert (look().status, look().value) == (Health.PASS, 0)
    for name in ("bezalel", "allegro", "ezra"):
        boxes.inbox.put(message(**{"from": name, "to": "ezra"}), boxes.done)
    boxes.turn.commit()
    assert len(boxes.leases.lease(limit=5)) == 2
    assert (look().status, look().value) == (Health.WARN, 2)
    assert "no more are until some are settled" in look().reason
    boxes.close()


def peer(**changes: Any) -> Any:
    value = {"name": "bezalel", "trouble": "connecting: Connection refused", "clock_off": False,
             "ahead": 0.0}  # fmt: skip
    return SimpleNamespace(**{**value, **changes})


@pytest.mark.parametrize(
    ("found", "status", "words"),
    [
        ([], Health.PASS, ""),
        ([peer()], Health.PASS, ""),
        ([peer(clock_off=True, ahead=-75.0)], Health.WARN, "this clock is -75 s from its"),
        ([peer(trouble="401: unsigned")], Health.WARN, "bezalel does not let us in: 401: unsigned"),
        ([peer(), peer(trouble="403: who?", name="allegro")], Health.WARN, "allegro does not"),
    ],
)
def test_a_receiver_that_is_away_is_counted_and_what_is_ours_to_mend_warns(
    found: list[Any], status: Health, words: str
) -> None:
    said = buschecks.peers_check(lambda: found)()
    assert (said.status, said.value) == (status, len(found))
    assert words in said.reason


def test_dead_letters_and_stopped_conversations_warn() -> None:
    assert buschecks.dead_letters_check(lambda: 0)().status is Health.PASS
    assert "fleet-agent dead-letters list" in buschecks.dead_letters_check(lambda: 3)().reason
    assert buschecks.cycle_check(lambda: "")().status is Health.PASS
    said = buschecks.cycle_check(lambda: "conversation with bezalel stopped")()
    assert (said.status, said.reason) == (Health.WARN, "conversation with bezalel stopped")
