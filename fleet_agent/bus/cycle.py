"""Stops two agents that answer each other for ever: hops, and a rate of replies to replies a pair.

Pure but for the time passed in. The first answer to a question (one hop) is never limited.
"""

from __future__ import annotations

from typing import Final

from fleet_agent.bus.message import MessageRefused
from fleet_agent.errors import TryAgain

_FREE_HOPS: Final = 1
_MINUTE: Final = 60.0
_PAIRS: Final = 4096


class TooManyReplies(TryAgain):
    """The pair has used up its replies to replies for now."""

    http_status = 429
    title = "too many replies"


def next_hops(said: int, answered: int | None, most: int) -> int:
    """The hops of a message that says ``said`` and answers one with ``answered`` hops, if any.

    Raises MessageRefused (400) over ``most``.
    """
    hops = said if answered is None else max(said, answered + 1)
    if hops > most:
        raise MessageRefused(
            f"would be {hops}: this conversation has gone on for {hops - 1} messages",
            field="hops",
            mend=f"{most} hops are allowed; do two agents answer each other for ever? "
            "A new message without in_reply_to begins anew",
            title="too many hops",
        )
    return hops


class Replies:
    """Counts replies to replies, a bucket for each receiver, refilled evenly over a minute."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._left: dict[str, tuple[float, float]] = {}  # receiver → (tokens, at)

    def take(self, receiver: str, hops: int, now: float) -> None:
        """Let one message with ``hops`` to ``receiver`` go. Raises TooManyReplies (429)."""
        if hops <= _FREE_HOPS:
            return
        most = float(self.per_minute)
        tokens, at = self._left.get(receiver, (most, now))
        tokens = min(most, tokens + max(0.0, now - at) * most / _MINUTE)
        if tokens < 1:
            self._left[receiver] = (tokens, now)
            raise TooManyReplies(
                f"more than {self.per_minute} replies to replies in a minute to {receiver}",
                where="to",
                mend="do two agents answer each other for ever? See pair_replies_per_minute",
            )
        if len(self._left) >= _PAIRS:
            self._left.clear()
        self._left[receiver] = (tokens - 1, now)
