"""The envelope under mutation: any bytes are a message, or refused with 400 or 413 and a mend.

What is accepted is strict JSON to the standard library too, and survives byte for byte.
"""

from __future__ import annotations

import json
import random
import time

from fleet_agent.bus.message import OPTIONAL, REQUIRED, Bounds, MessageRefused, check
from fleet_agent.bus.strictjson import NotStrictJson
from fleet_agent.limits import Limits

NOW = 1_770_091_506.0
BOUNDS = Bounds.of(Limits())
SEEDS = [
    json.dumps(value).encode()
    for value in (
        {"from": "ezra", "to": "bezalel", "type": "request", "payload": {"a": [1, None, "b"]},
         "timestamp": "2026-02-03T04:05:06Z", "id": "a1", "ttl": 60, "hops": 1},
        {"from": "ezra", "to": "*", "type": "alert", "payload": "é\\\"", "timestamp": 1.5e9},
        {"from": "ezra", "to": "bezalel", "type": "response", "payload": -0.0, "in_reply_to": "q",
         "timestamp": 0, "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"},
        {"from": "ezra", "to": "capability:code-review", "type": "request", "payload": True,
         "timestamp": 1},
    )
]  # fmt: skip
TOKENS = [
    *(f'"{name}":'.encode() for name in (*REQUIRED, *OPTIONAL, "form")),
    b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"9" * 30, b"-1", b"[" * 40, b"{", b"}", b"]",
    b'"', b"\\u0000", b"\\ud800", b"\\udc00", b"\\\\", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf",
    b",", b":", b" ", b"\n", b'"*"', b'"broadcast"', b'"capability:x"', b'"2199-01-01T00:00:00Z"',
    b'"2026-02-30T00:00:00Z"', b"x" * 300,
]  # fmt: skip


def fuzz(seconds: float, seed: int) -> int:
    """Mutate for ``seconds``; the number of executions. Raises where the invariant breaks."""
    chance = random.Random(seed)
    count = accepted = 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for _ in range(200):
            accepted += judge(mutated(chance))
            count += 1
    print(f"message: {accepted} of them accepted")
    return count


def mutated(chance: random.Random) -> bytes:
    """A seed, hurt in a few places."""
    raw = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randint(0, 4)):
        at = chance.randrange(len(raw) + 1)
        until = min(len(raw), at + chance.choice((0, 0, 1, 1, 3, 12)))
        if chance.random() < 0.5:
            raw[at:until] = chance.choice(TOKENS)
        elif chance.random() < 0.5:
            raw[at:until] = chance.randbytes(chance.randint(0, 3))
        else:
            other = chance.choice(SEEDS)
            start = chance.randrange(len(other))
            raw[at:until] = other[start : start + chance.randint(1, 40)]
    return bytes(raw)


def judge(raw: bytes) -> bool:
    """Whether ``raw`` was accepted; AssertionError where what came out is not what was promised."""
    try:
        message = check(raw, now=NOW, bounds=BOUNDS)
    except (MessageRefused, NotStrictJson) as refusal:
        assert refusal.http_status in (400, 413), raw
        assert refusal.what, raw
        assert isinstance(refusal, NotStrictJson) or (refusal.where and refusal.mend), raw
        str(refusal).encode("utf-8")
        return False
    again = json.loads(raw)
    assert message.raw == raw
    assert (message.sender, message.to) == (again["from"], again["to"]), raw
    assert message.payload == again["payload"], raw
    assert message.sent_at <= NOW + BOUNDS.future_seconds, raw
    return True
