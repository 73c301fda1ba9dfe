"""How long to wait before the next attempt. Pure: the dice are passed in."""

from __future__ import annotations

from typing import Final, NamedTuple

from fleet_agent.limits import Limits

# 2**62 would still be a float, but nobody waits that long.
_MOST_DOUBLINGS: Final = 40


class Schedule(NamedTuple):
    """Seconds: the first wait, and the longest one."""

    first: float
    most: float

    @classmethod
    def of(cls, limits: Limits) -> Schedule:
        """The schedule that ``limits`` sets."""
        return cls(limits["outbox_retry_first_seconds"], limits["outbox_retry_most_seconds"])


def wait(schedule: Schedule, failures: int, dice: float, *, least: float = 0.0) -> float:
    """Seconds to wait after ``failures`` (1 or more) failures in a row.

    Doubles from ``first`` to ``most``; half of it is fixed, the other half is by ``dice`` (0 to
    1), so that those who failed together don't come back together. ``least`` is what the other
    side asked for (Retry-After); even that is spread.
    """
    doublings = min(max(failures, 1) - 1, _MOST_DOUBLINGS)
    whole = min(schedule.most, schedule.first * 2.0**doublings)
    return max(whole / 2 + whole / 2 * dice, least * (1 + dice / 4))
