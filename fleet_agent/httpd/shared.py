"""What all connections of one server have in common: limits, counts, the turn's budget.

Not a place for behaviour: ``connection`` and ``server`` act on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fleet_agent.httpd.deadlines import Deadlines
from fleet_agent.httpd.loop import Loop
from fleet_agent.httpd.peers import who
from fleet_agent.httpd.refusal import Sizes
from fleet_agent.httpd.say import log
from fleet_agent.httpd.types import Peer
from fleet_agent.httpd.write import Writer
from fleet_agent.limits import Limits

if TYPE_CHECKING:
    from fleet_agent.httpd.connection import Connection

_SELDOM_SECONDS: Final = 10.0
# A handshake is half a millisecond of arithmetic; a burst of them must not hold everybody up.
_TURN_HANDSHAKES: Final = 32


class Counts:
    """Numbers since the server's start, and ``open`` and ``held_bytes`` as they are now."""

    __slots__ = ("accepted", "failed", "held_bytes", "open", "refused", "requests", "timed_out",
                 "turned_away", "unsecured")  # fmt: skip

    def __init__(self) -> None:
        self.open = 0  # connections
        self.accepted = 0  # connections
        self.turned_away = 0  # connections over a limit
        self.unsecured = 0  # connections on which TLS did not come about, or broke
        self.timed_out = 0  # connections ended by a deadline
        self.requests = 0  # whole ones that were handled
        self.refused = 0  # requests refused before a handler saw them
        self.failed = 0  # requests whose handler broke
        self.held_bytes = 0  # of requests that are not whole yet


class Shared:
    """One server's common part. Belongs to the loop's thread."""

    __slots__ = ("_turn_requests", "connections", "counts", "deadlines", "draining",
                 "handshakes_left", "loop",
                 "most_held", "most_pipelined", "most_unsent", "postponed", "settled", "sizes",
                 "turn_left", "unsecured_said", "writer")  # fmt: skip

    def __init__(self, loop: Loop, limits: Limits) -> None:
        self.loop = loop
        self.sizes = Sizes.of(limits)
        self.deadlines = Deadlines.of(limits)
        self.most_pipelined = limits.whole("http_pipelined_requests")
        self.most_unsent = limits.whole("http_unsent_bytes")
        self.most_held = limits.whole("http_held_bytes")
        self._turn_requests = limits.whole("http_turn_requests")
        self.turn_left = self._turn_requests  # requests that may still be handled in this turn
        self.postponed: list[Connection] = []  # go on in the next turn
        self.settled: list[Connection] = []  # have answers to send at this turn's end
        self.connections: set[Connection] = set()
        self.draining = False
        self.writer = Writer()
        self.counts = Counts()
        self.unsecured_said = -_SELDOM_SECONDS
        self.handshakes_left = _TURN_HANDSHAKES  # that may still go on in this turn

    def may_shake_hands(self) -> bool:
        """Whether one more handshake may go on in this turn; else epoll tells of it again."""
        self.handshakes_left -= 1
        return self.handshakes_left >= 0

    def say_unsecured(self, peer: Peer, why: str) -> None:
        """Count a connection without TLS, and say so seldom enough for strangers to fill no log."""
        self.counts.unsecured += 1
        if self.loop.now - self.unsecured_said >= _SELDOM_SECONDS:
            self.unsecured_said = self.loop.now
            log().warning("a connection of %s has no TLS: %s (%d so far)",
                          who(peer), why, self.counts.unsecured)  # fmt: skip

    def new_turn(self) -> None:
        """Fill the turn's budgets again."""
        self.handshakes_left = _TURN_HANDSHAKES
        self.turn_left = self._turn_requests

    def go_on(self) -> None:
        """Let the connections that were postponed go on."""
        waiting, self.postponed = self.postponed, []
        for connection in waiting:
            connection.advance()
