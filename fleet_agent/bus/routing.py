"""Where the local agent's message goes: into its own box, or out to one wizard or several.

Pure. Whether it may be sent at all is said before (``message``, ``gateway.admission``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fleet_agent.bus.message import Message, MessageRefused
from fleet_agent.bus.strictjson import kind
from fleet_agent.errors import RequestError
from fleet_agent.registry.lookup import find, subscribers
from fleet_agent.registry.schema import NotFound, Registry
from fleet_agent.wire import BROADCAST, CAPABILITY_PREFIX, MessageType


class Route(NamedTuple):
    """``receivers`` are other wizards' names; ``inbox`` is whether it is also for us."""

    inbox: bool
    receivers: tuple[str, ...] = ()


_HERE = Route(inbox=True)


def route(message: Message, me: str, registry: Registry, rank: Callable[[str], float]) -> Route:
    """The way of a ``message`` that the agent of the wizard ``me`` sends.

    ``rank`` says of a wizard how reachable it seems, less is better: the best one that has a
    capability gets the request, and keeps it over all retries, since the choice is stored.
    A broadcast with ``payload.topic`` goes to those who subscribed to it, and to nobody else.
    Raises NotFound or RequestError (404) where nobody is ``to``, and MessageRefused (400) for a
    topic that is no text.
    """
    to = message.to
    if to == me:
        return _HERE
    if to == BROADCAST:
        return Route(False, _all_or_subscribers(message, me, registry))
    if to.startswith(CAPABILITY_PREFIX):
        return _one_of(to[len(CAPABILITY_PREFIX) :], me, registry, rank)
    try:
        return Route(False, (registry.wizard(to).name,))
    except NotFound as error:
        error.where = "to"
        raise


def _all_or_subscribers(message: Message, me: str, registry: Registry) -> tuple[str, ...]:
    payload = message.payload
    if message.type != MessageType.BROADCAST or not isinstance(payload, dict):
        return tuple(one.name for one in registry if one.name != me)
    if "topic" not in payload:
        return tuple(one.name for one in registry if one.name != me)
    topic = payload["topic"]
    if not isinstance(topic, str):
        raise MessageRefused(
            f"is {kind(topic)}", field="payload.topic",
            mend="must be a text; without one the broadcast reaches every wizard",
        )  # fmt: skip
    found = tuple(one.name for one in subscribers(registry, topic) if one.name != me)
    if not found:
        raise RequestError(
            f"no other wizard subscribes to {topic[:64]!r}", status=404, where="payload.topic",
            mend=_near_topic(topic, registry),
        )  # fmt: skip
    return found


def _near_topic(topic: str, registry: Registry) -> str:
    import difflib

    known = sorted({one for wizard in registry for one in wizard.subscriptions} - {topic})
    near = difflib.get_close_matches(topic[:64], known, 1)
    if near:
        return f"did you mean {near[0]!r}?"
    return "say subscriptions: in fleet.yaml; GET /registry shows who subscribes to what"


def _one_of(capability: str, me: str, registry: Registry, rank: Callable[[str], float]) -> Route:
    having = [one.name for one in find(registry, capability)]
    others = [name for name in having if name != me]
    if others:
        # min takes the first of equals; the registry's order is the operator's preference.
        return Route(False, (min(others, key=rank),))
    if having:
        return _HERE
    raise RequestError(
        f"no wizard has the capability {capability!r}",
        status=404,
        where="to",
        mend="GET /registry shows who can do what",
    )
