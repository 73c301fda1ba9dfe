"""Whether a checked message may come in here. Pure: raises or does not.

The local agent may send to anybody; others bring what is for this wizard. Not for ways out
(``bus.routing``).
"""

from __future__ import annotations

from typing import Final

from fleet_agent.bus.message import Message
from fleet_agent.errors import RequestError
from fleet_agent.gateway.callers import LOCAL, TOKEN, Caller
from fleet_agent.gateway.serving import Serving
from fleet_agent.registry.lookup import find
from fleet_agent.registry.schema import NotFound, Wizard
from fleet_agent.wire import BROADCAST, CAPABILITY_PREFIX, ROUTE_HEALTH, ROUTE_MESSAGE

_NAMES_SHOWN: Final = 5
_MEND: Final = "GET /registry shows who is in the fleet"


def admit(message: Message, serving: Serving, caller: Caller) -> None:
    """Let ``message`` in or raise RequestError.

    403: ``from`` is nobody's, or not the caller's to use. 404: nobody is ``to``. 421: another
    wizard is, and where it listens.
    """
    me = serving.wizard
    if caller.name is not None and message.sender != caller.name:
        raise _not_your_name(message, caller)
    # A token's principal may be a person; everybody else who speaks is a wizard.
    if caller.kind != TOKEN and message.sender != me:
        _must_be_known(message.sender, serving)
    if caller.kind == LOCAL or message.to == me:
        return
    if message.to == BROADCAST:
        # From somebody else it is our copy. In our own name only the local agent broadcasts.
        if message.sender == me:
            raise RequestError(
                f"only the agent of {me} itself sends to all in its name",
                status=403,
                where="from",
                mend=f"send it from {me}'s own machine",
                title="not your name",
            )
        return
    if message.to.startswith(CAPABILITY_PREFIX):
        capability = message.to[len(CAPABILITY_PREFIX) :]
        if capability in serving.capabilities:
            return
        others = find(serving.registry, capability)
        if not others:
            raise RequestError(
                f"no wizard has the capability {capability!r}",
                status=404,
                where="to",
                mend="GET /registry shows who can do what",
            )
        raise _another(serving, others)
    try:
        other = serving.registry.wizard(message.to)
    except NotFound as error:
        error.where = "to"
        raise
    raise _another(serving, (other,))


def _must_be_known(sender: str, serving: Serving) -> None:
    try:
        serving.registry.wizard(sender)
    except NotFound as error:
        raise RequestError(
            error.what, status=403, where="from", mend=error.mend or _MEND, title="sender unknown"
        ) from None


def _not_your_name(message: Message, caller: Caller) -> RequestError:
    whose = {LOCAL: "an agent of this machine", TOKEN: "who holds this token"}.get(
        caller.kind, "who signs with this key"
    )
    return RequestError(
        f"is {message.sender!r}, but {whose} can only be {caller.name!r}",
        status=403,
        where="from",
        mend=f"say from: {caller.name}",
        title="not your name",
    )


def _another(serving: Serving, others: tuple[Wizard, ...]) -> RequestError:
    names = ", ".join(other.name for other in others[:_NAMES_SHOWN])
    gates = ", ".join(_gate(other) for other in others[:_NAMES_SHOWN])
    return RequestError(
        f"this is {serving.wizard}, and the message is for {names}",
        status=421,
        where="to",
        mend=f"send it to {gates}",
        title="another wizard's message",
    )


def _gate(wizard: Wizard) -> str:
    return wizard.health_endpoint.removesuffix(ROUTE_HEALTH) + ROUTE_MESSAGE
