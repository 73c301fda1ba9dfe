"""Which checked messages come into this wizard's box, and where the others are sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fleet_agent.bus.message import Bounds, Message, check
from fleet_agent.errors import RequestError
from fleet_agent.gateway.admission import admit
from fleet_agent.limits import Limits
from tests.unit.gateway.gatewayparts import serving


def message(sender: str, to: str, kind: str | None = None) -> Message:
    value: dict[str, Any] = {"from": sender, "to": to, "payload": 1, "timestamp": 1}
    value["type"] = kind or ("alert" if to == "*" else "request")
    return check(json.dumps(value).encode(), now=2, bounds=Bounds.of(Limits()))


def verdict(sender: str, to: str, *, local: bool) -> tuple[int, str, str]:
    try:
        admit(message(sender, to), serving(), local=local)
    except RequestError as error:
        assert error.mend
        return error.http_status, error.where, f"{error.what}; {error.mend}"
    return 0, "", ""


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize(
    ("sender", "to"),
    [
        ("bezalel", "ezra"),
        ("ezra", "ezra"),
        ("bezalel", "*"),
        ("bezalel", "capability:ansible-deploy"),
        ("ezra", "capability:ansible-deploy"),
    ],
)
def test_what_is_for_this_wizard_comes_in(sender: str, to: str, local: bool) -> None:
    assert verdict(sender, to, local=local) == (0, "", "")


@pytest.mark.parametrize(
    ("sender", "to", "local", "status", "where", "words"),
    [
        # Nobody by that name.
        ("bezalal", "ezra", True, 403, "from", "did you mean 'bezalel'?"),
        ("bezalal", "ezra", False, 403, "from", "did you mean 'bezalel'?"),
        ("bezalel", "ezrra", False, 404, "to", "did you mean 'ezra'?"),
        ("ezra", "capability:cooking", True, 404, "to", "no wizard has the capability"),
        # Another wizard's: a peer is sent there,
        ("bezalel", "allegro", False, 421, "to", "http://[2001:db8::12]:8646/message"),
        ("ezra", "capability:code-review", False, 421, "to", "http://192.0.2.11:8646/message, "),
        # the local agent waits for the bus, and can only be itself.
        ("ezra", "bezalel", True, 501, "to", "no outbox yet"),
        ("ezra", "capability:code-review", True, 501, "to", "bezalel, allegro"),
        ("ezra", "*", True, 501, "to", "every other wizard"),
        ("bezalel", "allegro", True, 403, "from", "say from: ezra"),
    ],
)
def test_everything_else_is_refused_with_the_way(
    sender: str, to: str, local: bool, status: int, where: str, words: str
) -> None:
    said = verdict(sender, to, local=local)
    assert said[:2] == (status, where)
    assert words in said[2]


def test_a_wizard_that_its_registry_does_not_know_still_takes_its_own_mail() -> None:
    mine = serving()
    mine.wizard = "gideon"
    admit(message("gideon", "gideon"), mine, local=True)
    assert mine.capabilities == ()
