"""What fails, where and for how long: a list of faults that a seed determines wholly.

Pure: the same seed, kinds and nodes give the same list. Making the faults is `faults`' business.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kinds of fault. All but `AGENT` and `RESTART` strike without a farewell."""

    KILL = "kill"  # SIGKILL of the daemon
    RESTART = "restart"  # systemctl restart of the daemon
    AGENT = "agent"  # SIGKILL of the wizard's own sender and handler
    CUT = "cut"  # the cable is pulled
    DEAF = "deaf"  # cut one way: what is sent to the node gets lost
    MUTE = "mute"  # cut the other way
    DROP = "drop"  # a third of the packets, both ways
    POWER = "power"  # processes, network and all that was not fsynced are gone; then it boots
    FULL = "full"  # no byte is left on the disk
    FSYNC = "fsync"  # the disk fails under the daemon, at an fsync; a power cycle mends it
    CLOCK = "clock"  # the daemon's clock jumps, and jumps back


# What a plan is made of by default. A failing disk is asked for by name: a long run met a damaged
# database after four of them, which is not explained yet.
USUAL = tuple(kind for kind in Kind if kind is not Kind.FSYNC)
# The one whose disk is full keeps it for longer: only growth meets the end of a disk.
SECONDS = {
    Kind.KILL: (0.0, 0.0), Kind.RESTART: (0.0, 0.0), Kind.AGENT: (0.0, 0.0),
    Kind.CUT: (1.5, 4.0), Kind.DEAF: (1.5, 4.0), Kind.MUTE: (1.5, 4.0), Kind.DROP: (3.0, 5.0),
    Kind.POWER: (0.0, 1.0), Kind.FULL: (3.0, 5.0), Kind.FSYNC: (2.0, 3.0),
    Kind.CLOCK: (2.5, 4.0),
}  # fmt: skip
# Where a clock goes: beyond the window of signatures, and by a day.
CLOCKS = (-90_000, -4_000, -400, 400, 4_000, 90_000)
_REST_SECONDS = (0.3, 1.2)
# How often daemons are killed on other nodes while a longer fault lasts.
_KILL_BESIDE = 0.5


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `seconds` from its begin to its mending, then `rest` seconds until the next.

    `beside` are nodes whose daemons are killed in the middle of it; `shift` is for clocks.
    """

    kind: Kind
    nodes: tuple[str, ...]
    seconds: float
    rest: float
    beside: tuple[str, ...] = ()
    shift: int = 0


def plan(
    seed: int, nodes: Sequence[str], *, kinds: Sequence[Kind] = USUAL, rounds: int = 1
) -> list[Fault]:
    """Every kind once a round, in another order each round, on nodes by chance."""
    dice = random.Random(seed)
    found: list[Fault] = []
    for _ in range(rounds):
        found += _round(dice, nodes, kinds)
    return found


def _round(dice: random.Random, nodes: Sequence[str], kinds: Sequence[Kind]) -> Iterator[Fault]:
    for kind in dice.sample(list(kinds), len(kinds)):
        # Now and then two at a time, never all: somebody must be there to talk to.
        count = dice.choice((1, 1, 2)) if kind in (Kind.KILL, Kind.AGENT, Kind.DROP) else 1
        struck = tuple(dice.sample(list(nodes), min(count, len(nodes))))
        others = [node for node in nodes if node not in struck]
        least, most = SECONDS[kind]
        beside: tuple[str, ...] = ()
        if most and others and Kind.KILL in kinds and dice.random() < _KILL_BESIDE:
            beside = (dice.choice(others),)
        yield Fault(
            kind, struck, round(dice.uniform(least, most), 2),
            round(dice.uniform(*_REST_SECONDS), 2), beside,
            dice.choice(CLOCKS) if kind is Kind.CLOCK else 0,
        )  # fmt: skip


def lasting(faults: Sequence[Fault]) -> float:
    """Seconds that the faults take by themselves, without the work of making and mending them."""
    return sum(fault.seconds + fault.rest for fault in faults)
