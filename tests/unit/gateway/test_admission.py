"""Which checked messages come into this wizard's box, and where the others are sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fleet_agent.bus.message import Bounds, Message, check
from fleet_agent.errors import RequestError
from fleet_agent.gateway.admission import admit
from fleet_agent.gateway.callers import ANYONE, LOCAL, PEER, TOKEN, Caller
from fleet_agent.limits import Limits
from tests.unit.gateway.gatewayparts import serving


def message(sender: str, to: str, kind: str | None = None) -> Message:
    value: dict[str, Any] = {"from": sender, "to": to, "payload": 1, "timestamp": 1}
    value["type"] = kind or ("alert" if to == "*" else "request")
    return check(json.dumps(value).encode(), now=2, bounds=Bounds.of(Limits()))


def verdict(sender: str, to: str, caller: Caller) -> tuple[int, str, str]:
    try:
        admit(message(sender, to), serving(), caller)
    except RequestError as error:
        assert error.mend
        return error.http_status, error.where, f"{error.what}; {error.mend}"
    return 0, "", ""


AGENT = Caller(LOCAL, "ezra")
BEZALEL = Caller(PEER, "bezalel")
STRANGER = Caller(ANYONE, None)


@pytest.mark.parametrize(
    ("sender", "caller"),
    [
        ("ezra", AGENT),
        ("bezalel", BEZALEL),
        ("ezra", Caller(PEER, "ezra")),
        ("bezalel", STRANGER),
        ("ezra", Caller(TOKEN, "ezra")),
        ("alexander", Caller(TOKEN, "alexander")),
    ],
)
@pytest.mark.parametrize("to", ["ezra", "*", "capability:ansible-deploy"])
def test_what_is_for_this_wizard_comes_in(sender: str, to: str, caller: Caller) -> None:
    # In this wizard's own name only its local agent sends to all.
    strange = (sender, to) == ("ezra", "*") and caller is not AGENT
    assert verdict(sender, to, caller)[:2] == ((403, "from") if strange else (0, ""))


@pytest.mark.parametrize(
    ("sender", "to", "caller", "status", "where", "words"),
    [
        # Another's name: nobody may say it, whoever it is.
        ("bezalel", "ezra", AGENT, 403, "from", "say from: ezra"),
        ("ezra", "ezra", BEZALEL, 403, "from", "say from: bezalel"),
        ("allegro", "ezra", BEZALEL, 403, "from", "who signs with this key"),
        ("bezalel", "allegro", AGENT, 403, "from", "say from: ezra"),
        ("ezra", "ezra", Caller(TOKEN, "alexander"), 403, "from", "who holds this token"),
        # Nobody by that name.
        ("bezalal", "ezra", STRANGER, 403, "from", "did you mean 'bezalel'?"),
        ("gideon", "ezra", Caller(PEER, "gideon"), 403, "from", "gideon"),
        ("bezalel", "ezrra", BEZALEL, 404, "to", "did you mean 'ezra'?"),
        ("bezalel", "capability:cooking", BEZALEL, 404, "to", "no wizard has the capability"),
        # Another wizard's: a peer is sent there,
        ("bezalel", "allegro", BEZALEL, 421, "to", "http://[2001:db8::12]:8646/message"),
        ("bezalel", "capability:code-review", BEZALEL, 421, "to", "http://192.0.2.11:8646/message"),
    ],
)
def test_everything_else_is_refused_with_the_way(
    sender: str, to: str, caller: Caller, status: int, where: str, words: str
) -> None:
    said = verdict(sender, to, caller)
    assert said[:2] == (status, where)
    assert words in said[2]


@pytest.mark.parametrize("to", ["bezalel", "capability:code-review", "*", "nobody"])
def test_the_local_agent_may_send_to_anybody(to: str) -> None:
    assert verdict("ezra", to, AGENT) == (0, "", "")


def test_a_wizard_that_its_registry_does_not_know_still_takes_its_own_mail() -> None:
    mine = serving()
    mine.wizard = "gideon"
    admit(message("gideon", "gideon"), mine, Caller(LOCAL, "gideon"))
    assert mine.capabilities == ()
