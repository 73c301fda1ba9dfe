"""Puts an id or hops into a checked message's bytes, and leaves every other byte as it came.

Pure.
"""

from __future__ import annotations

import json

from fleet_agent.bus.message import Message

_WHITESPACE = b" \t\r\n"


def with_id(message: Message, id_: str) -> Message:
    """``message``, which has none, with the id ``id_``."""
    return message._replace(id=id_, raw=_added(message.raw, f'"id":"{id_}"'))


def with_hops(message: Message, hops: int) -> Message:
    """``message`` with ``hops`` hops, whatever it said before."""
    value = json.loads(message.raw)
    if "hops" in value:
        value["hops"] = hops
        raw = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    else:
        raw = _added(message.raw, f'"hops":{hops}')
    return message._replace(hops=hops, raw=raw)


def _added(raw: bytes, field: str) -> bytes:
    # A checked message is an object with five fields at least, so the comma is right.
    return raw.rstrip(_WHITESPACE)[:-1] + b"," + field.encode() + b"}"
