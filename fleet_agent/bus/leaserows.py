"""The rows of the inbox as leases see them: the SQL, one method a statement.

Decides nothing; which move is allowed, and when, is said in ``leases``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from fleet_agent.bus.heads import Head, Key
from fleet_agent.bus.inbox import ROW_BYTES
from fleet_agent.bus.life import Got
from fleet_agent.bus.turn import Turn

# The key behind another one: of the same sender, of the same lane, of the next lane. Each is one
# step in the index, where a comparison of all three columns would walk through a whole lane.
_KEY_BEHIND: Final = (
    "SELECT lane, sender, type FROM inbox WHERE state < 2 AND lane = ?1 AND sender = ?2 "
    "AND type > ?3 ORDER BY type LIMIT 1",
    "SELECT lane, sender, type FROM inbox WHERE state < 2 AND lane = ?1 AND sender > ?2 "
    "ORDER BY sender, type LIMIT 1",
    "SELECT lane, sender, type FROM inbox WHERE state < 2 AND lane > ?1 "
    "ORDER BY lane, sender, type LIMIT 1",
)
_HEAD: Final = (
    "SELECT seq, attempts, state, leased_until, not_before FROM inbox "
    "WHERE state < 2 AND lane = ? AND sender = ? AND type = ? ORDER BY seq LIMIT 1"
)
_MESSAGE: Final = "SELECT id, received_at, in_reply_to, body FROM inbox WHERE seq = ?"
_LEASE: Final = (
    "UPDATE inbox SET state = 1, attempts = ?, leased_until = ?, receipt = ?, not_before = NULL "
    "WHERE seq = ?"
)
_GIVE_BACK: Final = (
    "UPDATE inbox SET state = 0, attempts = ?, leased_until = NULL, not_before = ?, "
    "reason = coalesce(?, reason) WHERE seq = ?"
)
_SHIFT: Final = (
    "UPDATE inbox SET leased_until = leased_until + ?, not_before = not_before + ? WHERE seq = ?"
)
_SETTLED: Final = "UPDATE inbox SET state = ?, settled_at = ? WHERE seq = ?"
_DEAD: Final = "UPDATE inbox SET state = ?, dead_at = ?, reason = ? WHERE seq = ?"
_REVIVE: Final = (
    "UPDATE inbox SET seq = (SELECT max(seq) + 1 FROM inbox), state = ?, attempts = 0, "
    "leased_until = NULL, not_before = NULL, dead_at = NULL WHERE seq = ?"
)
_HELD: Final = "SELECT id, state, receipt, lane, sender, type FROM inbox WHERE seq = ?"


class Content(NamedTuple):
    """What a message is, and when it came in (Unix seconds)."""

    id: str
    received_at: float
    in_reply_to: str | None
    body: bytes


class Held(NamedTuple):
    """Who a message belongs to now: its state, and the newest lease's receipt."""

    id: str
    state: Got
    receipt: str | None
    key: Key


class LeaseRows:
    """All methods that write raise TurnLost."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    def keys(self) -> list[Key]:
        """All keys that have something open."""
        found: list[Key] = []
        key: Key | None = self._behind(Key(-1, "", ""))
        while key is not None:
            found.append(key)
            key = self._behind(key)
        return found

    def first(self, key: Key) -> Head | None:
        """The first open message of ``key``."""
        rows = self._turn.read(_HEAD, key)
        if not rows:
            return None
        seq, attempts, state, leased_until, not_before = rows[0]
        leased = state == Got.LEASED
        return Head(seq, attempts, leased, (leased_until if leased else not_before) or 0.0)

    def content(self, seq: int) -> Content:
        """The message ``seq``."""
        return Content(*self._turn.read(_MESSAGE, (seq,))[0])

    def held(self, seq: int) -> Held | None:
        """Who holds the message ``seq``; None where there is none."""
        rows = self._turn.read(_HELD, (seq,))
        if not rows:
            return None
        id_, state, receipt, *key = rows[0]
        return Held(id_, Got(state), receipt, Key(*key))

    def responses(self, request: str) -> list[tuple[int, Key]]:
        """The open responses to our message ``request``."""
        rows = self._turn.read(
            "SELECT seq, lane, sender, type FROM inbox WHERE in_reply_to = ? AND state < 2",
            (request,),
        )
        return [(seq, Key(*key)) for seq, *key in rows]

    def received_at(self, seq: int) -> float:
        """When the message ``seq`` came in, in Unix seconds."""
        at: float = self._turn.read("SELECT received_at FROM inbox WHERE seq = ?", (seq,))[0][0]
        return at

    def lease(self, seq: int, attempt: int, until: float, receipt: str) -> None:
        """Hand it out."""
        self._write(_LEASE, (attempt, until, receipt, seq))

    def extend(self, seq: int, until: float) -> None:
        """Lease it on."""
        self._write(
            "UPDATE inbox SET state = 1, leased_until = ?, not_before = NULL WHERE seq = ?",
            (until, seq),
        )

    def give_back(self, head: Head, not_before: float | None, why: str | None) -> None:
        """Let it wait again."""
        self._write(_GIVE_BACK, (head.attempts, not_before, why, head.seq))

    def settle(self, seq: int, state: Got, now: float) -> None:
        """It is over."""
        self._write(_SETTLED, (state, now, seq))

    def die(self, seq: int, state: Got, now: float, reason: str) -> None:
        """It was tried too often."""
        self._write(_DEAD, (state, now, reason, seq))

    def revive(self, seq: int, state: Got) -> int:
        """It is tried again, behind all that is here; its new number."""
        self._write(_REVIVE, (state, seq))
        return self._turn.store.number("SELECT max(seq) FROM inbox")

    def shift(self, seq: int, seconds: float) -> None:
        """Move its times."""
        self._turn.execute(_SHIFT, (seconds, seconds, seq))

    def _behind(self, key: Key) -> Key | None:
        for sql in _KEY_BEHIND:
            rows = self._turn.read(sql, key[: sql.count("?")])
            if rows:
                return Key(*rows[0])
        return None

    def _write(self, sql: str, row: tuple[object, ...]) -> None:
        self._turn.execute(sql, row)
        self._turn.wrote(ROW_BYTES)
