"""Dead letters: what was given up, with its reason, to look at, retry or drop; a box each way.

Not for giving up (``lane``, ``delivery``, ``leases``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final

from fleet_agent.bus import timestamp
from fleet_agent.bus.ids import Ids
from fleet_agent.bus.inbox import Inbox
from fleet_agent.bus.leases import Leases
from fleet_agent.bus.life import Sent, move
from fleet_agent.bus.message import Message
from fleet_agent.bus.outbox import Outbox
from fleet_agent.bus.turn import Turn
from fleet_agent.errors import RequestError
from fleet_agent.wire import MessageType

_LIST: Final = (
    "SELECT d.number, l.id, d.receiver, d.reason, l.accepted_at, d.settled_at, l.body "
    "FROM delivery d JOIN letter l ON l.number = d.letter WHERE d.state = 2 AND d.number > ? "
    "ORDER BY d.number LIMIT ?"
)


_LIST_INCOMING: Final = (
    "SELECT seq, id, sender, reason, attempts, received_at, dead_at, body FROM inbox "
    "WHERE state = 3 AND seq > ? ORDER BY seq LIMIT ?"
)


class Outgoing:
    """What a wizard sent and its receivers did not take. ``number`` names one of them."""

    def __init__(self, turn: Turn, outbox: Outbox) -> None:
        self._turn = turn
        self._outbox = outbox

    def count(self) -> int:
        """How many there are."""
        return self._turn.store.number("SELECT count(*) FROM delivery WHERE state = 2")

    def list(self, after: int, count: int) -> list[dict[str, Any]]:
        """``count`` of them behind the number ``after``, oldest first."""
        return [
            {
                "number": number,
                "id": id_,
                "to": receiver,
                "reason": reason,
                "accepted_at": timestamp.show(accepted_at),
                "dead_at": timestamp.show(dead_at),
                "message": json.loads(body),
            }
            for number, id_, receiver, reason, accepted_at, dead_at, body in self._turn.read(
                _LIST, (after, count)
            )
        ]

    def retry(self, number: int) -> int:
        """Put one back into the outbox, at the end of its queue; its new number.

        Raises RequestError (404), IllegalMove and TurnLost.
        """
        move(self._state(number), Sent.ACCEPTED)
        return self._outbox.again(number)

    def drop(self, number: int) -> None:
        """Forget one. Raises RequestError (404), IllegalMove and TurnLost."""
        wanted = move(self._state(number), Sent.DROPPED)
        self._turn.execute(
            "UPDATE delivery SET state = ?, settled_at = ? WHERE number = ?",
            (wanted, time.time(), number),
        )

    def _state(self, number: int) -> Sent:
        rows = self._turn.read("SELECT state FROM delivery WHERE number = ?", (number,))
        state = Sent(rows[0][0]) if rows else None
        if state is None or state is not Sent.DEAD:
            raise RequestError(
                f"there is no dead letter {number}",
                status=404,
                where="number",
                mend="fleet-agent dead-letters list",
            )
        return state


class Incoming:
    """What came in and was tried too often. ``number`` names one of them."""

    def __init__(self, turn: Turn, leases: Leases) -> None:
        self._turn = turn
        self._leases = leases

    def count(self) -> int:
        """How many there are."""
        return self._turn.store.number("SELECT count(*) FROM inbox WHERE state = 3")

    def list(self, after: int, count: int) -> list[dict[str, Any]]:
        """``count`` of them behind the number ``after``, in order of arrival."""
        return [
            {
                "number": number,
                "id": id_,
                "from": sender,
                "reason": reason,
                "attempts": attempts,
                "received_at": timestamp.show(received_at),
                "dead_at": timestamp.show(dead_at),
                "message": json.loads(body),
            }
            for number, id_, sender, reason, attempts, received_at, dead_at, body in (
                self._turn.read(_LIST_INCOMING, (after, count))
            )
        ]

    def retry(self, number: int) -> int:
        """Hand one out again, behind all others; its new number.

        Raises RequestError (404), IllegalMove and TurnLost.
        """
        return self._leases.revive(number)

    def drop(self, number: int) -> None:
        """Forget one. Raises RequestError (404), IllegalMove and TurnLost."""
        self._leases.drop(number)


def teller(me: str, inbox: Inbox, ids: Ids) -> Callable[[str, str, str], None]:
    """Tells the agent of ``me`` in its own inbox that a message was given up (``outbox.Tell``).

    It comes as a response to that message, from the wizard's own daemon, so that whoever waits
    for an answer stops waiting.
    """

    def tell(id_: str, receiver: str, reason: str) -> None:
        now = time.time()
        payload = {"error": "dead-letter", "message": id_, "to": receiver, "reason": reason}
        new = ids()
        value = {
            "from": me,
            "to": me,
            "type": MessageType.RESPONSE.value,
            "payload": payload,
            "timestamp": timestamp.show(now),
            "id": new,
            "in_reply_to": id_,
        }
        raw = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        inbox.note(
            Message(me, me, MessageType.RESPONSE, payload, now, new, id_, None, 0, None, raw)
        )

    return tell
