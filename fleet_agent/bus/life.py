"""The life of a message, as two tables of moves: at its sender and at its receiver.

Pure. The numbers are what the database holds: add, never change.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, TypeVar

from fleet_agent.errors import IllegalMove


class Sent(IntEnum):
    """One delivery, at the sender: one receiver of one message."""

    ACCEPTED = 0  # on our disk, waiting for its receiver
    DELIVERED = 1  # on the receiver's disk
    DEAD = 2  # given up, its sender was told
    DROPPED = 3  # a dead letter that a person dropped


class Got(IntEnum):
    """One message, at the receiver."""

    DELIVERED = 0  # on its disk, waiting to be handled
    LEASED = 1  # handed out, not settled yet
    HANDLED = 2
    DEAD = 3  # tried too often
    DROPPED = 4  # a dead letter that a person dropped


SENT_MOVES: Final[Mapping[Sent, frozenset[Sent]]] = {
    Sent.ACCEPTED: frozenset({Sent.DELIVERED, Sent.DEAD}),
    Sent.DELIVERED: frozenset(),
    Sent.DEAD: frozenset({Sent.ACCEPTED, Sent.DROPPED}),
    Sent.DROPPED: frozenset(),
}
GOT_MOVES: Final[Mapping[Got, frozenset[Got]]] = {
    Got.DELIVERED: frozenset({Got.LEASED, Got.HANDLED, Got.DEAD}),
    Got.LEASED: frozenset({Got.DELIVERED, Got.HANDLED, Got.DEAD}),
    Got.HANDLED: frozenset(),
    Got.DEAD: frozenset({Got.DELIVERED, Got.DROPPED}),
    Got.DROPPED: frozenset(),
}

State = TypeVar("State", Sent, Got)


def word(state: Sent | Got) -> str:
    """How the state is written on the wire and for people."""
    return state.name.lower()


def move(now: State, wanted: State) -> State:
    """``wanted``, if the table has that move. Raises IllegalMove."""
    moves: Mapping[State, frozenset[State]]
    moves = SENT_MOVES if isinstance(now, Sent) else GOT_MOVES
    if wanted not in moves[now]:
        machine = "delivery" if isinstance(now, Sent) else "message"
        raise IllegalMove(machine, word(now), word(wanted))
    return wanted
