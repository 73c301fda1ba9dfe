"""One other daemon: its connection, its two lanes, and when to try again.

Not for what a message is or where it goes, and not for who else there is (``delivery``).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from fleet_agent.bus import batch
from fleet_agent.bus.backoff import Schedule, wait
from fleet_agent.bus.batch import BadBatch, Head, Kind, Verdict
from fleet_agent.bus.lane import Flight, Lane
from fleet_agent.bus.outbox import Outbox, Row
from fleet_agent.bus.turn import TurnLost
from fleet_agent.httpd.client import ClientResponse
from fleet_agent.httpd.loop import Loop, Timer
from fleet_agent.httpd.pipeline import Pipeline
from fleet_agent.limits import Limits
from fleet_agent.wire import MEDIA_STREAM, ROUTE_MESSAGE

Fields = Iterable[tuple[str, str]]
# (receiver, id, body) → the fields that prove who sends; made anew for each attempt.
Sign = Callable[[str, str, bytes], Fields]
# Gets the answer, or None and why there is none.
Heard = Callable[[ClientResponse | None, str], None]

_LANES: Final = (1, 0)  # alerts first
_CLOCK_WAIT: Final = 5.0

log = logging.getLogger("fleet_agent.bus")


class Ground(NamedTuple):
    """What all peers share. ``now`` is Unix seconds (``steady``'s), ``dice`` is from 0 to 1."""

    loop: Loop
    me: str
    outbox: Outbox
    sign: Sign
    ids: Callable[[], str]
    now: Callable[[], float]
    dice: Callable[[], float]


class Connector(Protocol):
    """Opens connections; there may be too many, and names must be resolved elsewhere."""

    def open(self, peer: Peer) -> None:
        """Call ``peer.opened`` or ``peer.failed``, now or later."""

    def closed(self, peer: Peer) -> None:
        """A connection that was opened is no more."""


class Peer:
    """One receiver."""

    def __init__(self, name: str, ground: Ground, connector: Connector, limits: Limits) -> None:
        self.name = name
        self._ground = ground
        self._connector = connector
        self._lanes = tuple(Lane(ground.outbox, name, lane, limits) for lane in _LANES)
        self._asks: deque[tuple[str, Heard]] = deque()
        self._asked: deque[Heard] = deque()
        self._line: Pipeline | None = None
        self._opening = False
        self._ended = False
        self._timer: Timer | None = None
        self._idle: Timer | None = None
        self.failures = 0
        self.trouble = ""  # why nothing gets through now
        self.clock_off = False  # it refuses our time
        self.ahead = 0.0  # seconds that our clock leads its, as it says
        self.since = 0.0
        self.limits = limits

    @property
    def limits(self) -> Limits:
        """The limits in force."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        self._schedule = Schedule.of(limits)
        self._most_flights = limits.whole("outbox_flights")
        for lane in self._lanes:
            lane.limits = limits

    def has_work(self) -> bool:
        """Whether something waits or is under way."""
        return bool(self._asks or self._asked) or any(lane.has_work() for lane in self._lanes)

    @property
    def idle(self) -> bool:
        """Whether it holds a connection on which nothing is under way."""
        return self._line is not None and self._line.waiting == 0

    def offer(self, lane: int, row: Row) -> None:
        """A row that was just committed."""
        self.lane(lane).offer(row)

    def ask(self, target: str, heard: Heard) -> None:
        """GET ``target``; ``heard`` is called once."""
        self._asks.append((target, heard))
        self.pump()

    def lane(self, number: int) -> Lane:
        """The lane 0 (ordinary) or 1 (alerts)."""
        return self._lanes[1 - number]

    def start_anew(self) -> None:
        """A turn was undone: look at the outbox again."""
        for lane in self._lanes:
            lane.start_anew()

    def alive(self) -> None:
        """It was heard of: what waits for a later attempt goes now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._ground.loop.call_next_turn(self.pump)

    def pump(self) -> None:
        """Send what can be sent now."""
        if self._timer is not None or self._opening:
            return
        if self._line is None:
            if self.has_work():
                self._opening = True
                self._connector.open(self)
            else:
                self.trouble = ""  # nobody waits for it any more
            return
        while self._asks and self._line is not None:
            self._send_ask(self._line, *self._asks.popleft())
        try:
            while self._line is not None and self._line.waiting < self._most_flights:
                if not self._send_next(self._line):
                    break
        except TurnLost:
            return  # start_anew comes, and a later attempt with it

    def opened(self, line: Pipeline) -> None:
        """The connection that was asked for (it may still fail)."""
        self._opening = False
        self._line = line
        self.pump()

    def failed(self, why: str) -> None:
        """No connection could be opened."""
        self._opening = False
        self._lose(why)

    def closed(self, why: str) -> None:
        """The connection is no more."""
        line, self._line = self._line, None
        self._stop_idle()
        self._connector.closed(self)
        if self._ended:
            return
        self._forget()
        if not self.has_work():
            self.trouble = ""
            return
        if line is not None and line.answers and not self.failures and not self._asked:
            # It worked until now: perhaps the other side only ended an idle connection.
            self.failures = 1
            self._ground.loop.call_next_turn(self.pump)
        else:
            self._lose(why)

    def rest(self) -> None:
        """Give the connection up for another peer's sake."""
        if self._line is not None:
            self._line.close("others wait for a connection")

    def close(self) -> None:
        """End for good; what is under way will be sent again by whoever comes next."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        if self._line is not None:
            self._line.close("ending")

    # Sending.

    def _send_next(self, line: Pipeline) -> bool:
        ground = self._ground
        for number, lane in zip(_LANES, self._lanes, strict=True):
            flight = lane.next(ground.now())
            if flight is None:
                continue
            head = Head(
                ground.me, self.name, f"{flight.stream}-{number}", flight.after,
                tuple(row.number for row in flight.rows),
            )  # fmt: skip
            body = batch.write(head, [row.body for row in flight.rows])
            fields = (("Content-Type", MEDIA_STREAM), *self._signed(body))
            line.send("POST", ROUTE_MESSAGE, fields, body, self._answer_to(lane, flight))
            self._stop_idle()
            return True
        return False

    def _send_ask(self, line: Pipeline, target: str, heard: Heard) -> None:
        self._asked.append(heard)

        def answered(answer: ClientResponse) -> None:
            self._asked.popleft()
            heard(answer, "")
            self._rest()

        self._stop_idle()
        line.send("GET", target, self._signed(b""), b"", answered)

    def _signed(self, body: bytes) -> Fields:
        return self._ground.sign(self.name, self._ground.ids(), body)

    # Answers.

    def _answer_to(self, lane: Lane, flight: Flight) -> Callable[[ClientResponse], None]:
        return lambda answer: self._answered(lane, flight, answer)

    def _answered(self, lane: Lane, flight: Flight, answer: ClientResponse) -> None:
        count = len(flight.rows)
        try:
            verdicts = batch.read_answer(answer.status, answer.body, count, self._ground.now())
        except BadBatch as error:
            if self._line is not None:
                self._line.close(str(error))
            return
        try:
            waits = lane.answered(flight, verdicts)
        except TurnLost:
            return  # the delivered stay waiting and are sent again: the receiver knows them
        if waits is not None and waits.kind is not Kind.KEPT:
            self._trouble(waits, answer)
            return
        if waits is not None:
            self._well()
        self.pump()
        self._rest()

    def _trouble(self, waits: Verdict, answer: ClientResponse) -> None:
        least = _retry_after(answer)
        if waits.kind is Kind.CLOCK:
            self.clock_off, self.ahead = True, waits.ahead
            least = max(least, _CLOCK_WAIT)
        self._later(waits.reason, least)

    def _well(self) -> None:
        if self.failures > 1:
            seconds = self._ground.now() - self.since
            log.info("%s: delivering again, after %.0f s", self.name, seconds)
        self.failures = 0
        self.trouble = ""
        self.clock_off, self.ahead = False, 0.0

    def _rest(self) -> None:
        """Keep the connection for a while in case there is more."""
        if self._idle is None and self.idle:
            seconds = self._limits["outbox_idle_seconds"]
            self._idle = self._ground.loop.call_later(seconds, self._rested)

    def _rested(self) -> None:
        self._idle = None
        if self._line is not None and self.idle:
            self._line.close("idle")

    def _stop_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    # Trying again.

    def _forget(self) -> None:
        for lane in self._lanes:
            lane.lost()

    def _lose(self, why: str) -> None:
        self._later(why, 0.0)
        asked, self._asked = self._asked, deque()
        asks, self._asks = self._asks, deque()
        for heard in (*asked, *(one for _, one in asks)):
            heard(None, why)

    def _later(self, why: str, least: float) -> None:
        self.failures += 1
        if self.failures == 1 or not self.trouble:
            self.since = self._ground.now()
        if self.trouble != why:
            waiting = self._ground.outbox.waiting.get(self.name, 0)
            log.warning("%s: not delivered: %s; %d wait", self.name, why, waiting)
        self.trouble = why
        seconds = wait(self._schedule, self.failures, self._ground.dice(), least=least)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._ground.loop.call_later(seconds, self._due)

    def _due(self) -> None:
        self._timer = None
        self.pump()


def _retry_after(answer: ClientResponse) -> float:
    text = answer.headers.get_lower("retry-after") or ""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0
