"""Where the local agent's message goes: into its own box, or out to one wizard or several.

Pure. Whether it may be sent at all is said before (``message``, ``gateway.admission``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fleet_agent.bus.message import Message
from fleet_agent.errors import RequestError
from fleet_agent.registry.lookup import find
from fleet_agent.registry.schema import NotFound, Registry
from fleet_agent.wire import BROADCAST, CAPABILITY_PREFIX


class Route(NamedTuple):
    """``receivers`` are other wizards' names; ``inbox`` is whether it is also for us."""

    inbox: bool
    receivers: tuple[str, ...] = ()


_HERE = Route(inbox=True)


def route(message: Message, me: str, registry: Registry, rank: Callable[[str], float]) -> Route:
    """The way of a ``message`` that the agent of the wizard ``me`` sends.

    ``rank`` says of a wizard how reachable it seems, less is better: the best one that has a
    capability gets the request, and keeps it over all retries, since the choice is stored.
    Raises NotFound or RequestError (404) where nobody is ``to``.
    """
    to = message.to
    if to == me:
        return _HERE
    if to == BROADCAST:
        return Route(False, tuple(one.name for one in registry if one.name != me))
    if to.startswith(CAPABILITY_PREFIX):
        return _one_of(to[len(CAPABILITY_PREFIX) :], me, registry, rank)
    try:
        return Route(False, (registry.wizard(to).name,))
    except NotFound as error:
        error.where = "to"
        raise


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
