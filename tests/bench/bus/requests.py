"""Files of requests to send: signed as another daemon's, all of one length, no two alike."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import NamedTuple

from fleet_agent import signing

SENDER, RECEIVER = "bezalel", "ezra"
KEY = b"k" * 32
PAYLOAD = "x" * 180  # some 300 bytes a message


class Requests(NamedTuple):
    """``count`` requests of ``size`` bytes each, one behind the other."""

    path: Path
    size: int
    count: int


def message(**more: object) -> bytes:
    """One message; its id is made by the daemon or by its signature, unless it is in ``more``."""
    value = {"from": SENDER, "to": RECEIVER, "type": "request", "payload": PAYLOAD,
             "timestamp": 1_700_000_000, **more}  # fmt: skip
    return json.dumps(value, separators=(",", ":")).encode()


def write(
    path: Path,
    count: int,
    *,
    lines: int = 1,
    random_ids: bool = False,
    sender: str = SENDER,
    receiver: str = RECEIVER,
) -> Requests:
    """Write ``count`` requests with ``lines`` messages each to ``path``.

    The ids sort by time unless ``random_ids``.
    """
    now, run = int(time.time()), os.urandom(4).hex()
    body = b"\n".join([message(**{"from": sender, "to": receiver})] * lines)
    media = "application/json" if lines == 1 else "application/x-ndjson"
    size = 0
    with path.open("wb") as file:
        for number in range(count):
            id_ = os.urandom(16).hex() if random_ids else f"{now:x}-{run}-{number:014d}"
            head = (
                f"POST /message HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {media}\r\n"
                f"fleet-from: {sender}\r\nwebhook-id: {id_}\r\nwebhook-timestamp: {now}\r\n"
                f"webhook-signature: {signing.sign(KEY, id_, now, body)}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            ).encode()
            size = len(head) + len(body)
            file.write(head + body)
    return Requests(path, size, count)
