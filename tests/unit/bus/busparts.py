"""Real boxes in a folder, messages for them, and what they told."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fleet_agent.bus.deadletters import teller
from fleet_agent.bus.ids import Ids
from fleet_agent.bus.inbox import Inbox, open_turn
from fleet_agent.bus.leases import Leases
from fleet_agent.bus.message import Bounds, Message, check
from fleet_agent.bus.outbox import Outbox
from fleet_agent.bus.steady import Steady
from fleet_agent.limits import Limits


class Boxes:
    """Both boxes of the wizard ezra in one file."""

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        failed: Callable[[Exception], object] = print,
        now: Callable[[], float] = time.time,
        clock: Steady | None = None,
    ) -> None:
        self.folder = folder
        self.turn = open_turn(str(folder / "bus.db"), failed=lambda error: (failed(error), None)[1])
        ids = Ids()
        self.inbox = Inbox(self.turn, limits, ids=ids)
        self.leases = Leases(self.turn, self.inbox, limits, clock=clock or Steady())
        tell = teller("ezra", self.inbox, ids)
        self.outbox = Outbox(self.turn, limits, ids=ids, tell=tell, now=now)
        self.told: list[tuple[str, Any]] = []

    def done(self, id_: str, outcome: Any) -> None:
        """Write down what was told."""
        self.told.append((id_, outcome))

    def send(self, *receivers: str, **changes: Any) -> str:
        """Put one message into the outbox and commit; its id."""
        self.outbox.put(message(**changes), receivers or ("bezalel",), self.done)
        self.turn.commit()
        return self.told[-1][0]

    def rows(self, sql: str) -> list[Any]:
        """What the file holds, as another process sees it."""
        return read(self.folder, sql)

    def close(self) -> None:
        """Commit and close."""
        self.turn.close()


def read(folder: Path, sql: str) -> list[Any]:
    """Rows of the boxes' file in ``folder``."""
    connection = sqlite3.connect(folder / "bus.db")
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def message(*, spaces: Any = 0, **changes: Any) -> Message:
    """A checked message of ezra to bezalel, with ``changes``."""
    value = {
        "from": "ezra",
        "to": "bezalel",
        "type": "request",
        "payload": 1,
        "timestamp": 1,
    } | changes
    raw = json.dumps(value).encode() + b" " * spaces
    return check(raw, now=2, bounds=Bounds.of(Limits()))
