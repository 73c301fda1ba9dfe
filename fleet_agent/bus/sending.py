"""Takes what the local agent sends: counts its hops, finds its way, puts it into the right box.

Not for who the sender is (``gateway.admission``) and not for delivering (``delivery``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from fleet_agent.bus import stamp
from fleet_agent.bus.cycle import Replies, TooManyReplies, next_hops
from fleet_agent.bus.inbox import Inbox
from fleet_agent.bus.message import Message, MessageRefused
from fleet_agent.bus.outbox import Outbox
from fleet_agent.bus.routing import route
from fleet_agent.bus.turn import Done
from fleet_agent.limits import Limits
from fleet_agent.registry.schema import NotFound, Registry
from fleet_agent.wire import MessageType

_REMEMBER_SECONDS: Final = 600.0

log = logging.getLogger("fleet_agent.bus")


class Sending:
    """The way out of the wizard ``me``.

    ``rank`` says how reachable another wizard seems; less is better.
    """

    def __init__(  # noqa: PLR0917 (made in one place)
        self,
        me: str,
        registry: Callable[[], Registry],
        inbox: Inbox,
        outbox: Outbox,
        rank: Callable[[str], float],
        limits: Limits,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._me = me
        self._registry = registry
        self._inbox = inbox
        self._outbox = outbox
        self._rank = rank
        self._now = now
        self._stopped: tuple[float, str] | None = None
        self._replies = Replies(1)
        self.limits = limits

    @property
    def limits(self) -> Limits:
        """The limits in force."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        self._most_hops = limits.whole("message_hops")
        self._replies.per_minute = limits.whole("pair_replies_per_minute")

    @property
    def stopped(self) -> str:
        """The conversation that was stopped in the last ten minutes for going on and on."""
        if self._stopped is None or self._now() - self._stopped[0] > _REMEMBER_SECONDS:
            return ""
        return self._stopped[1]

    def send(self, message: Message, done: Done) -> None:
        """Take ``message`` into this turn; ``done`` hears of it after the commit.

        Raises BoxFull, MessageRefused (too many hops), TooManyReplies, NotFound and RequestError
        (nobody is ``to``).
        """
        try:
            message = self._counted(message)
            if self._is_for_a_guest(message):
                self._inbox.keep(message, done)
                return
            way = route(message, self._me, self._registry(), self._rank)
            if message.hops > 1:
                for receiver in way.receivers:
                    self._replies.take(receiver, message.hops, self._now())
        except (MessageRefused, TooManyReplies) as error:
            self._stop(message, error)
            raise
        if way.inbox:
            self._inbox.put(message, done)
        else:
            self._outbox.put(message, way.receivers, done)

    def _is_for_a_guest(self, message: Message) -> bool:
        """Whether it answers somebody who is no wizard, and who sent what it answers to us: the
        holder of a token, who comes here for the response."""
        if message.type != MessageType.RESPONSE or message.in_reply_to is None:
            return False
        try:
            self._registry().wizard(message.to)
        except NotFound:
            return self._inbox.hops_of(message.to, message.in_reply_to) is not None
        return False

    def _counted(self, message: Message) -> Message:
        if message.in_reply_to is None:
            return message
        answered = self._inbox.hops_of(message.to, message.in_reply_to)
        hops = next_hops(message.hops, answered, self._most_hops)
        return message if hops == message.hops else stamp.with_hops(message, hops)

    def _stop(self, message: Message, error: MessageRefused | TooManyReplies) -> None:
        said = f"conversation with {message.to} stopped: {error.what}"
        self._stopped = (self._now(), said)
        log.warning("%s: %s", message.id or "a message without an id", said)
