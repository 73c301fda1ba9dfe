"""Makes room in a crowded file: what is settled gives up its body, or goes, oldest first.

Not for what is old (``retention``). Ids that somebody may still repeat stay known.
"""

from __future__ import annotations

from typing import Final

from fleet_agent.bus.turn import Turn

# A response may be asked for once more, and an ack repeated.
_LEFT_ALONE_SECONDS: Final = 60.0

_SETTLED: Final = (
    "SELECT settled_at, seq, forgettable, length(body) FROM inbox WHERE state >= 2 "
    "AND (settled_at, seq) > (?, ?) AND settled_at < ? ORDER BY settled_at, seq LIMIT ?"
)
_DELETE: Final = "DELETE FROM inbox WHERE seq = ?"
# What is said of a message that is settled; times of leases and bodies are of no use any more.
_KEPT: Final = (
    "seq, sender, id, lane, received_at, hops, in_reply_to, attempts, settled_at, state, type, "
    "receipt, dead_at, reason"
)
_READ: Final = f"SELECT {_KEPT} FROM inbox WHERE seq = ?"  # noqa: S608 (our own words)
_WRITE: Final = f"INSERT INTO inbox ({_KEPT}, body) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,x'')"  # noqa: S608


class Compaction:
    """Walks once through what is settled, in the order of settling, and goes on with what comes."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._at = (0.0, 0)

    def step(self, now: float, count: int) -> bool:
        """Look at the next ``count`` messages; whether there may be more. Raises TurnLost."""
        turn = self._turn
        rows = turn.read(_SETTLED, (*self._at, now - _LEFT_ALONE_SECONDS, count))
        smaller = []
        for settled_at, seq, forgettable, length in rows:
            self._at = (settled_at, seq)
            if forgettable:
                turn.execute(_DELETE, (seq,))
            elif length:
                smaller += turn.read(_READ, (seq,))
        # A row that only shrinks leaves a hole in its page: pages are freed by rows that go. So all
        # of them go first, and then come back side by side.
        for row in smaller:
            turn.execute(_DELETE, (row[0],))
        for row in smaller:
            turn.execute(_WRITE, row)
        return len(rows) == count
