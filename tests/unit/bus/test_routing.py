"""Where the local agent's messages go."""

from __future__ import annotations

import pytest

from fleet_agent.bus.routing import Route, route
from fleet_agent.errors import FleetError
from fleet_agent.registry.parse import parse
from tests.unit.bus.busparts import message

FLEET = parse(
    """
wizards:
  ezra:    {host: 192.0.2.10, role: orchestrator, capabilities: [deploy, alone],
            subscriptions: [lessons, mine]}
  bezalel: {host: 192.0.2.11, capabilities: [review, deploy]}
  allegro: {host: 192.0.2.12, capabilities: [review], subscriptions: [lessons]}
"""
)


def way(to: str, kind: str = "request", **ranks: float) -> Route:
    return route(message(to=to, type=kind), "ezra", FLEET, lambda name: ranks.get(name, 0.0))


def test_one_wizard() -> None:
    assert way("bezalel") == Route(False, ("bezalel",))


def test_itself() -> None:
    assert way("ezra") == Route(True)


def test_all_others_in_the_registrys_order() -> None:
    assert way("*", "broadcast") == Route(False, ("bezalel", "allegro"))
    assert way("*", "alert") == Route(False, ("bezalel", "allegro"))


def test_the_first_of_those_who_can() -> None:
    assert way("capability:review") == Route(False, ("bezalel",))


def test_one_that_is_reached_goes_before_one_that_is_not() -> None:
    assert way("capability:review", bezalel=3) == Route(False, ("allegro",))
    assert way("capability:review", bezalel=3, allegro=4) == Route(False, ("bezalel",))


def test_another_before_itself_and_itself_when_alone() -> None:
    assert way("capability:deploy") == Route(False, ("bezalel",))
    assert way("capability:alone") == Route(True)


@pytest.mark.parametrize(
    ("to", "words"), [("bezalell", "bezalel"), ("capability:cooking", "GET /registry")]
)
def test_nobody_is_404_with_a_mend(to: str, words: str) -> None:
    with pytest.raises(FleetError) as caught:
        way(to)
    assert (caught.value.http_status, caught.value.where) == (404, "to")
    assert words in caught.value.mend


def about(payload: object, kind: str = "broadcast") -> Route:
    return route(message(to="*", type=kind, payload=payload), "ezra", FLEET, lambda _: 0.0)


def test_a_broadcast_with_a_topic_reaches_those_who_subscribed_and_not_itself() -> None:
    assert about({"topic": "lessons"}) == Route(False, ("allegro",))


@pytest.mark.parametrize("payload", [{"text": "x"}, "topic", ["topic"], None])
def test_a_broadcast_without_a_topic_reaches_all(payload: object) -> None:
    assert about(payload) == Route(False, ("bezalel", "allegro"))


def test_an_alert_reaches_all_whatever_it_is_about() -> None:
    assert about({"topic": "lessons"}, "alert") == Route(False, ("bezalel", "allegro"))


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("lesson", "did you mean 'lessons'?"),
        ("mine", "subscriptions:"),
        ("x" * 9999, "subscriptions:"),
    ],
)
def test_a_topic_of_nobody_else_is_404_with_a_mend(topic: str, words: str) -> None:
    with pytest.raises(FleetError) as caught:
        about({"topic": topic})
    assert (caught.value.http_status, caught.value.where) == (404, "payload.topic")
    assert words in caught.value.mend
    assert len(caught.value.what) < 200


def test_a_topic_that_is_no_text_is_refused() -> None:
    with pytest.raises(FleetError) as caught:
        about({"topic": 5})
    assert (caught.value.http_status, caught.value.where) == (400, "payload.topic")
