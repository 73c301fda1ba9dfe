"""What is known here of one message's life: as its sender's daemon, and as its receiver's.

Reads only. The states are ``life``'s; the other side's half is asked for by ``gateway.lives``.
"""

from __future__ import annotations

from typing import Any, Final

from fleet_agent.bus import timestamp
from fleet_agent.bus.life import Got, Sent, word
from fleet_agent.bus.turn import Turn

_SENT: Final = (
    "SELECT d.receiver, d.state, l.accepted_at, d.settled_at, d.expires_at, d.reason "
    "FROM letter l JOIN delivery d ON d.letter = l.number WHERE l.id = ? ORDER BY d.receiver"
)
_GOT: Final = (
    "SELECT received_at, state, attempts, leased_until, not_before, settled_at, dead_at, reason "
    "FROM inbox "
    "WHERE sender = ? AND id = ?"
)


class LifeStory:
    """Questions to one wizard's boxes."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    def sent(self, id_: str) -> list[dict[str, Any]]:
        """The deliveries of our message ``id_``, one for each receiver; empty where unknown."""
        return [_sent(row) for row in self._turn.read(_SENT, (id_,))]

    def got(self, sender: str, id_: str) -> dict[str, Any] | None:
        """What became of a message that came in here; None where it is not known (any more)."""
        rows = self._turn.read(_GOT, (sender, id_))
        return _got(rows[0]) if rows else None


def _sent(row: tuple[Any, ...]) -> dict[str, Any]:
    receiver, state, accepted_at, settled_at, expires_at, reason = row
    told: dict[str, Any] = {
        "to": receiver,
        "state": word(Sent(state)),
        "accepted_at": timestamp.show(accepted_at),
    }
    if state == Sent.ACCEPTED:
        told["expires_at"] = timestamp.show(expires_at)
    elif settled_at is not None:
        told["delivered_at" if state == Sent.DELIVERED else "dead_at"] = timestamp.show(settled_at)
    if reason is not None:
        told["reason"] = reason
    return told


def _got(row: tuple[Any, ...]) -> dict[str, Any]:
    received_at, state, attempts, leased_until, not_before, settled_at, dead_at, reason = row
    told: dict[str, Any] = {
        "state": word(Got(state)),
        "received_at": timestamp.show(received_at),
        "attempts": attempts,
    }
    if state == Got.LEASED and leased_until is not None:
        told["leased_until"] = timestamp.show(leased_until)
    if state == Got.DELIVERED and not_before is not None:
        told["not_before"] = timestamp.show(not_before)
    if state == Got.HANDLED:
        told["handled_at"] = timestamp.show(settled_at)
    if dead_at is not None:
        told["dead_at"] = timestamp.show(dead_at)
    if reason is not None:
        told["reason" if dead_at is not None else "last_failure"] = reason
    return told
