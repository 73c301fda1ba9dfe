"""The bus of one daemon, put together: boxes, delivery, and the routes on top of them.

Decides nothing; the rooms below do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from fleet_agent import signing
from fleet_agent.bus.deadletters import Incoming, Outgoing, teller
from fleet_agent.bus.delivery import Delivery, Secure
from fleet_agent.bus.handling import Handler, Handling
from fleet_agent.bus.ids import Ids
from fleet_agent.bus.inbox import Inbox, open_turn
from fleet_agent.bus.leases import Leases
from fleet_agent.bus.leasetimer import LeaseTimer
from fleet_agent.bus.lifestory import LifeStory
from fleet_agent.bus.outbox import Outbox
from fleet_agent.bus.peer import Sign
from fleet_agent.bus.retention import Retention
from fleet_agent.bus.sending import Sending
from fleet_agent.bus.steady import Steady
from fleet_agent.gateway import buschecks
from fleet_agent.gateway.checks import Look
from fleet_agent.gateway.deadletters import DeadLetterRoutes
from fleet_agent.gateway.lives import Lives
from fleet_agent.gateway.messages import Messages
from fleet_agent.gateway.pull import Pull
from fleet_agent.gateway.serving import Serving
from fleet_agent.gateway.waiters import Waiters
from fleet_agent.httpd.loop import Loop
from fleet_agent.httpd.router import Route
from fleet_agent.limits import Limits
from fleet_agent.wire import (
    HEADER_FROM,
    ROUTE_DEAD_LETTER_DROP,
    ROUTE_DEAD_LETTER_RETRY,
    ROUTE_DEAD_LETTERS,
    ROUTE_INBOX,
    ROUTE_INBOX_ACK,
    ROUTE_INBOX_EXTEND,
    ROUTE_INBOX_NACK,
    ROUTE_MESSAGE,
    ROUTE_MESSAGE_ANSWERED,
    ROUTE_MESSAGE_LIFE,
)

DATABASE: Final = "bus.db"


class Bus:
    """All of it. ``handlers`` are those of the wizard's messages, by type. ``failed`` is called,
    from another thread, when a checkpoint failed.

    Raises what ``store.sqlite.open_store`` does.
    """

    def __init__(
        self,
        loop: Loop,
        serving: Serving,
        path: str,
        limits: Limits,
        *,
        handlers: Mapping[str, Handler],
        failed: Callable[[Exception], None],
        secure: Secure,
    ) -> None:
        self._loop = loop
        me, ids = serving.wizard, Ids()
        self.turn = open_turn(path, failed=failed)
        self.inbox = Inbox(self.turn, limits, ids=ids)
        self.leases = Leases(self.turn, self.inbox, limits, clock=Steady())
        self._lease_timer = LeaseTimer(loop, self.turn, self.leases)
        clock = Steady()
        self.outbox = Outbox(
            self.turn, limits, ids=ids, tell=teller(me, self.inbox, ids), now=clock.now
        )
        self.delivery = Delivery(
            loop, self.turn, self.outbox, me=me, registry=lambda: serving.registry,
            limits=limits, sign=signer(serving), clock=clock, secure=secure,
        )  # fmt: skip
        self._sending = Sending(
            me, lambda: serving.registry, self.inbox, self.outbox, self.delivery.rank, limits
        )
        self.handling = Handling(
            loop, self.turn, self.leases, self._sending, me, ids, handlers, limits
        )
        self._retention = Retention(loop, self.turn, limits)
        self._outgoing = Outgoing(self.turn, self.outbox)
        self._incoming = Incoming(self.turn, self.leases)
        self._waiters = Waiters(
            loop, self.turn, self.leases, limits, dispatched=self.handling.handles
        )
        self._pull = Pull(serving, self.turn, self.leases, self._waiters)
        self._messages = Messages(
            serving, self.inbox, self._sending, limits, heard_of=self.delivery.heard_of
        )
        self._lives = Lives(
            serving, loop, self.turn, LifeStory(self.turn), self.inbox, self.leases, self.delivery
        )
        self._dead = DeadLetterRoutes(serving, self.turn, self._outgoing, self._incoming)

    def take(self, limits: Limits) -> None:
        """Put new limits in force."""
        self.inbox.limits = self.outbox.limits = self.delivery.limits = limits
        self.leases.limits = self.handling.limits = self._waiters.limits = limits
        self._sending.limits = self._retention.limits = self._messages.limits = limits

    def start(self) -> None:
        """Begin to deliver; commit at the end of each turn."""
        self._loop.on_turn_end(self.turn.commit)
        self.delivery.start()
        self._lease_timer.start()
        self.handling.start()
        self._retention.start()

    def end(self) -> None:
        """The daemon is ending: let nobody wait for messages or responses any more."""
        self._waiters.end()
        self._lives.end()

    def close(self) -> None:
        """End handlers and deliveries, commit what is pending, close the file."""
        self.handling.stop()
        self.delivery.stop()
        self.turn.close()

    def routes(self) -> tuple[Route, ...]:
        """The gateway's routes that are the bus's."""
        return (
            Route("POST", ROUTE_MESSAGE, self._messages.post),
            Route("GET", ROUTE_MESSAGE_LIFE, self._lives.get),
            Route("POST", ROUTE_MESSAGE_ANSWERED, self._lives.answered),
            Route("GET", ROUTE_INBOX, self._pull.get),
            Route("POST", ROUTE_INBOX_ACK, self._pull.ack),
            Route("POST", ROUTE_INBOX_NACK, self._pull.nack),
            Route("POST", ROUTE_INBOX_EXTEND, self._pull.extend),
            Route("GET", ROUTE_DEAD_LETTERS, self._dead.list),
            Route("POST", ROUTE_DEAD_LETTER_RETRY, self._dead.retry),
            Route("POST", ROUTE_DEAD_LETTER_DROP, self._dead.drop),
        )

    def looks(self) -> tuple[Look, ...]:
        """What health looks at."""
        return (
            buschecks.inbox_check(self.inbox),
            buschecks.unhandled_check(self.leases),
            buschecks.leased_check(self.leases),
            buschecks.waiters_check(lambda: self._waiters.count),
            buschecks.outbox_check(self.outbox),
            buschecks.peers_check(self.delivery.troubled),
            buschecks.dead_letters_check(lambda: self._outgoing.count() + self._incoming.count()),
            buschecks.cycle_check(lambda: self._sending.stopped),
            buschecks.handlers_check(self.handling),
        )


def signer(serving: Serving) -> Sign:
    """Signs with the pair's keys as they are at each attempt; without keys only says the name."""

    def sign(receiver: str, id_: str, body: bytes) -> tuple[tuple[str, str], ...]:
        said = ((HEADER_FROM, serving.wizard),)
        keys = [one.key for one in serving.keyring.pair(receiver)]
        if not keys:
            return said
        now = int(time.time())
        return (
            *said,
            (signing.HEADER_ID, id_),
            (signing.HEADER_TIMESTAMP, str(now)),
            (signing.HEADER_SIGNATURE, signing.sign_with(keys, id_, now, body)),
        )

    return sign
