"""Delivers the outbox: all peers, their connections, and what is too late.

Runs on the loop. Not for what a peer's answers mean (``lane``) or what is stored (``outbox``).
"""

from __future__ import annotations

import logging
import socket
import threading
from collections import deque
from collections.abc import Callable
from os import urandom
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fleet_agent.bus.ids import Ids
from fleet_agent.bus.outbox import Outbox, Waiting
from fleet_agent.bus.peer import Ground, Heard, Peer, Sign
from fleet_agent.bus.steady import Steady
from fleet_agent.bus.turn import Turn, TurnLost
from fleet_agent.errors import FleetError
from fleet_agent.httpd.client import read_url
from fleet_agent.httpd.dial import Url
from fleet_agent.httpd.loop import Loop
from fleet_agent.httpd.pipeline import Address, Pipeline, Times
from fleet_agent.limits import Limits
from fleet_agent.registry.schema import Registry

if TYPE_CHECKING:
    from fleet_agent.httpd.tls import Secured

# A new end of TLS for a URL; whether a daemon of the fleet itself answers there, or a proxy before
# it. Raises FleetError.
Secure: TypeAlias = "Callable[[Url, bool], Secured]"

_TICK_SECONDS: Final = 1.0
_LATE_A_TICK: Final = 500
_HURRIED_SECONDS: Final = 0.05

log = logging.getLogger("fleet_agent.bus")


class Delivery:
    """The sending half of the bus. ``registry`` and ``limits`` are asked anew each time."""

    def __init__(
        self,
        loop: Loop,
        turn: Turn,
        outbox: Outbox,
        *,
        me: str,
        registry: Callable[[], Registry],
        limits: Limits,
        sign: Sign,
        clock: Steady,
        secure: Secure,
        dice: Callable[[], float] = lambda: urandom(1)[0] / 255,
    ) -> None:
        self._loop = loop
        self._outbox = outbox
        self._registry = registry
        self._ground = Ground(loop, me, outbox, sign, Ids(), clock.now, dice)
        self._clock = clock
        self._secure = secure
        self._peers: dict[str, Peer] = {}
        self._open = 0
        self._queue: deque[Peer] = deque()  # peers that wait for a connection
        self._resolver = Resolver(loop)
        self._ended = False
        self._limits = limits
        outbox.on_waiting(self._fresh)
        turn.on_undone(self._undone)

    @property
    def limits(self) -> Limits:
        """The limits in force; replaced when settings are read anew."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        for peer in self._peers.values():
            peer.limits = limits

    def start(self) -> None:
        """Begin with what waits since the last start."""
        for name in self._outbox.waiting:
            self._loop.call_next_turn(self.peer(name).pump)
        self._tick()

    def stop(self) -> None:
        """Send no more. What is under way will be sent again, and known as a repeat."""
        self._ended = True
        for peer in self._peers.values():
            peer.close()

    def peer(self, name: str) -> Peer:
        """The peer called ``name``."""
        found = self._peers.get(name)
        if found is None:
            found = self._peers[name] = Peer(name, self._ground, self, self._limits)
        return found

    def rank(self, name: str) -> float:
        """How badly the wizard ``name`` is reached: failures in a row, then what waits for it."""
        peer = self._peers.get(name)
        return float(peer.failures if peer is not None else 0)

    def heard_of(self, name: str) -> None:
        """The daemon of ``name`` sent us something, so it is there."""
        peer = self._peers.get(name)
        if peer is not None:
            peer.alive()

    def ask(self, name: str, target: str, heard: Heard) -> None:
        """GET ``target`` of the daemon of ``name``; ``heard`` is called once."""
        self.peer(name).ask(target, heard)

    def troubled(self) -> list[Peer]:
        """The peers that nothing gets through to now."""
        return [peer for peer in self._peers.values() if peer.trouble]

    # What peers ask of us (peer.Connector).

    def open(self, peer: Peer) -> None:
        """Open a connection for ``peer``, or let it wait for its turn."""
        if self._ended:
            return
        if self._open >= self._limits.whole("outbox_connections"):
            self._queue.append(peer)
            rested = next((one for one in self._peers.values() if one.idle), None)
            if rested is not None:
                rested.rest()
            return
        try:
            wizard = self._registry().wizard(peer.name)
            url = read_url(wizard.health_endpoint)
            secured = self._secure(url, wizard.tls) if url.tls else None
        except FleetError as error:
            peer.failed(str(error))
            return
        self._open += 1
        self._resolver.resolve(
            url, peer.failures, lambda found: self._found(peer, url, secured, found)
        )

    def closed(self, peer: Peer) -> None:
        """A connection is no more: the next one may open."""
        self._open -= 1
        if self._queue and not self._ended:
            waiting = self._queue.popleft()
            self._loop.call_next_turn(lambda: self.open(waiting))

    def _found(
        self, peer: Peer, url: Url, secured: Secured | None, found: tuple[int, Any] | str
    ) -> None:
        if self._ended:
            return
        if isinstance(found, str):
            self.closed(peer)
            peer.failed(found)
            return
        times = Times(self._limits["outbox_connect_seconds"], self._limits["outbox_answer_seconds"])
        address = Address(*found, url.authority)
        peer.opened(Pipeline(self._loop, address, times, peer.closed, secured=secured))

    # What happens.

    def _fresh(self, fresh: list[Waiting]) -> None:
        names = set()
        for waiting in fresh:
            self.peer(waiting.receiver).offer(waiting.lane, waiting.row)
            names.add(waiting.receiver)
        for name in names:
            self._loop.call_next_turn(self.peer(name).pump)

    def _undone(self) -> None:
        for peer in self._peers.values():
            peer.start_anew()
            self._loop.call_later(_TICK_SECONDS, peer.pump)

    def _tick(self) -> None:
        if self._ended:
            return
        seconds = _TICK_SECONDS
        try:
            self._mind_the_clock()
            expired = self._outbox.expired(self._ground.now(), _LATE_A_TICK)
            if len(expired) == _LATE_A_TICK:
                seconds = _HURRIED_SECONDS
            for late in expired:
                lane = self.peer(late.receiver).lane(late.lane)
                # What is under way may be there already: its answer, or the next attempt, decides.
                if not lane.flies(late.number):
                    self._outbox.dead(late, lane.why_late(late.number))
        except TurnLost:
            seconds = _TICK_SECONDS  # the next tick tries again
        self._loop.call_later(seconds, self._tick)

    def _mind_the_clock(self) -> None:
        """A time to live is time that passes: when the clock jumps, what waits moves with it.

        Raises TurnLost.
        """
        jump = self._clock.jump()
        if jump and self._outbox.depth:
            log.warning("the clock jumped by %+.0f s; what waits moves with it", jump)
            self._outbox.shift(jump)
            self._undone()


class Resolver:
    """Names to addresses, beside the loop: a resolver may take 20 s and knows no limit."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def resolve(
        self, url: Url, attempt: int, found: Callable[[tuple[int, Any] | str], None]
    ) -> None:
        """Call ``found`` on the loop with a family and an address, or with why not; at once
        where the host is an address. Later attempts take the name's other addresses."""
        try:
            numeric = socket.AI_NUMERICHOST
            places = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM, flags=numeric)
        except socket.gaierror:
            pass  # a name, then
        else:
            found((places[0][0], places[0][4]))
            return

        def ask() -> None:
            answer: tuple[int, Any] | str
            try:
                all_ = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
                family, _, _, _, place = all_[attempt % len(all_)]
                answer = (family, place)
            except OSError as error:
                answer = f"the name {url.host} is not known: {error.strerror}"
            self._loop.call_soon_threadsafe(lambda: found(answer))

        threading.Thread(target=ask, name="resolve", daemon=True).start()
