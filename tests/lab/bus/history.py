"""The history of a run: one JSON object a line, in a form that another checker can read as well.

Every event has `what`, `t` (Unix seconds of a clock that no fault moves) and `at` (a wizard, or ""
for the harness). Lines of one file are in the order of their happening; files are not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

Event = dict[str, Any]


class What(StrEnum):
    """What happened. With each: the fields besides `what`, `t` and `at`."""

    SEND = "send"  # id, from, to, lane, n (place within from, to, lane): about to be sent
    ACCEPTED = "accepted"  # id, status: the sender's daemon said 202 (200 for a repeat)
    REFUSED = "refused"  # id (the first of them), count, why: anything else; it is sent again
    DELIVERY = "delivery"  # id, from, lane, attempt: handed to the receiver's agent
    HANDLED = "handled"  # id: the effect, as the handler's own journal has it in the end
    ACK = "ack"  # id, status: what the daemon answered to the ack
    TOLD = "told"  # id, reason: the daemon told the sender's agent that it gave a message up
    DEAD = "dead"  # id, box (outbox, inbox), reason: a dead letter in the end
    FAULT = "fault"  # kind, nodes, phase (begin, end): what the harness did


def read(path: Path) -> Iterator[Event]:
    """The events of one file. A line that a power cut tore at the end is no event."""
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n") and line.strip(b"\0\n"):
                yield json.loads(line.lstrip(b"\0"))


def write(path: Path, events: Iterable[Event]) -> None:
    """Write events into one new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lines:
        for event in events:
            lines.write(json.dumps(event, separators=(",", ":")) + "\n")
