"""Which messages of the inbox come next: the first one of each pair, and what keeps it back.

Pure. Not for what is stored (``leases``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple


class Key(NamedTuple):
    """What has an order of its own: a sender's messages of one lane and one type."""

    lane: int
    sender: str
    type: str


class Head(NamedTuple):
    """The first message of a key that is not settled.

    It may be handed out from ``free_at`` on (Unix seconds; 0: at once): until then it is leased,
    or it was given back with a delay.
    """

    seq: int
    attempts: int = 0
    leased: bool = False
    free_at: float = 0.0


def pick(
    heads: Mapping[Key, Head], now: float, limit: int, wanted: Callable[[str], bool] | None
) -> list[Key]:
    """The keys whose heads come next, ``limit`` at most: alerts first, then by arrival.

    ``wanted`` says which types count. One message of a sender and lane at a time: while one that
    counts is out, or the first of them waits for its time, none behind it is picked.
    """
    first: dict[tuple[int, str], Key] = {}
    out = set()
    for key, head in heads.items():
        if wanted is not None and not wanted(key.type):
            continue
        pair = key[:2]
        if head.leased:
            out.add(pair)
        best = first.get(pair)
        if best is None or head.seq < heads[best].seq:
            first[pair] = key
    free = [key for pair, key in first.items() if pair not in out and heads[key].free_at <= now]
    free.sort(key=lambda key: (-key.lane, heads[key].seq))
    return free[:limit]


def ended(heads: Mapping[Key, Head], now: float) -> list[Key]:
    """The keys whose heads are leased, and the lease is over."""
    return [key for key, head in heads.items() if head.leased and head.free_at <= now]


def soonest(heads: Mapping[Key, Head], now: float) -> float | None:
    """When the next lease ends or the next delay is over; None where there is none."""
    times = [head.free_at for head in heads.values() if head.leased or head.free_at > now]
    return min(times, default=None)
