"""The checks of ``GET /health`` that look at the bus: each a callable, cheap, without a secret."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from fleet_agent.bus.handling import Handling
from fleet_agent.bus.inbox import Inbox
from fleet_agent.bus.leases import Leases
from fleet_agent.bus.outbox import Outbox
from fleet_agent.bus.peer import Peer
from fleet_agent.gateway.checks import Look
from fleet_agent.gateway.health import Check
from fleet_agent.httpd.handshake import CERTIFICATE
from fleet_agent.wire import Health

_NEAR: Final = 0.8
_SHOWN: Final = 3
_UNKNOWN: Final = ("401", "403")


def inbox_check(inbox: Inbox) -> Look:
    """Messages that wait in the inbox, against its limit."""
    return lambda: _depth("bus:depth", "inbox", inbox.depth, inbox.limits.whole("inbox_messages"))


def outbox_check(outbox: Outbox) -> Look:
    """Messages that wait in the outbox, against its limit."""
    return lambda: _depth(
        "bus:outbox", "outbox", outbox.depth, outbox.limits.whole("outbox_messages")
    )


def unhandled_check(leases: Leases, now: Callable[[], float] = time.time) -> Look:
    """The age of the oldest message that is not handled."""

    def look() -> Check:
        oldest = leases.oldest()
        age = 0.0 if oldest is None else max(0.0, now() - oldest)
        return Check("bus:unhandled", Health.PASS, round(age, 1), "s", "datastore")

    return look


def leased_check(leases: Leases) -> Look:
    """Messages that are handed out and not settled, against their limit."""

    def look() -> Check:
        out, most = leases.out, leases.limits.whole("inbox_handed_out")
        full = out >= most
        reason = (
            f"{out} messages are handed out, no more are until some are settled" if full else ""
        )
        return Check("bus:leased", Health.WARN if full else Health.PASS, out, "messages",
                     "datastore", reason)  # fmt: skip

    return look


def waiters_check(count: Callable[[], int]) -> Look:
    """Requests that wait for messages: whether an agent is there at all."""
    return lambda: Check("bus:waiters", Health.PASS, count(), "requests", "datastore")


def peers_check(troubled: Callable[[], list[Peer]]) -> Look:
    """Receivers that refuse us for something that is ours to mend: a clock, or keys."""

    def look() -> Check:
        peers = troubled()
        reasons = []
        for peer in peers:
            if peer.clock_off:
                reasons.append(
                    f"{peer.name} refuses the time of a message, and this clock is "
                    f"{peer.ahead:+.0f} s from its: {peer.trouble}"
                )
            elif peer.trouble.startswith(CERTIFICATE):
                reasons.append(f"{peer.name} is not believed to be itself: {peer.trouble}")
            elif peer.trouble.startswith(_UNKNOWN):
                reasons.append(f"{peer.name} does not let us in: {peer.trouble}")
        status = Health.WARN if reasons else Health.PASS
        said = "; ".join(reasons[:_SHOWN])
        return Check("bus:peers", status, len(peers), "wizards not reached", reason=said)

    return look


def dead_letters_check(count: Callable[[], int]) -> Look:
    """Dead letters that nobody has looked at."""

    def look() -> Check:
        dead = count()
        reason = f"{dead} dead letters: fleet-agent dead-letters list" if dead else ""
        status = Health.WARN if dead else Health.PASS
        return Check("bus:dead-letters", status, dead, "messages", "datastore", reason)

    return look


def handlers_check(handling: Handling) -> Look:
    """Messages that are with their handlers, and whether those are there."""

    def look() -> Check:
        reason = handling.trouble
        status = Health.WARN if reason else Health.PASS
        return Check("handlers:running", status, handling.running, "messages", reason=reason)

    return look


def cycle_check(stopped: Callable[[], str]) -> Look:
    """A conversation that was stopped for going on and on."""

    def look() -> Check:
        reason = stopped()
        return Check("bus:cycles", Health.WARN if reason else Health.PASS, reason=reason)

    return look


def _depth(name: str, box: str, depth: int, most: int) -> Check:
    near = depth >= most * _NEAR
    reason = f"{depth} of {most} messages wait in the {box}" if near else ""
    status = Health.WARN if near else Health.PASS
    return Check(name, status, depth, "messages", "datastore", reason)
