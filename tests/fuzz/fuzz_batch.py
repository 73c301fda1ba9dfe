"""What other daemons say, mutated: bytes are a head or refused, answers are verdicts or bad.

A peer that is broken or hostile must cost the sender no more than that peer.
"""

from __future__ import annotations

import json
import random
import time

from fleet_agent.bus.batch import BadBatch, Head, read_answer, read_head, write
from fleet_agent.errors import RequestError

NOW = 1_770_091_506.0
HEADS = [
    write(Head("ezra", "bezalel", "0123456789abcdef-0", 0, (1, 2, 7)), []).splitlines()[0],
    write(Head("a", "b", "s", 5, tuple(range(6, 60))), []).splitlines()[0],
]
PROBLEM = {"status": 400, "detail": "why", "where": "timestamp", "time": "2026-02-03T04:05:06Z"}
ANSWERS = [
    b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    for lines in (
        ({"id": "a", "status": "accepted"}, {"id": "b", "status": "duplicate"}),
        (
            {"status": "refused", "problem": PROBLEM},
            {"status": "refused", "problem": {"status": 412}},
        ),
    )
]
TOKENS = [
    b"null", b"[]", b"{}", b"-1", b"1e999", b"9" * 30, b"9" * 5000, b"[" * 3000, b'"', b"\xff",
    b"9" * 19, b"\n", b"\\u0000",
    b'"numbers":', b'"problem":', b'"status":', b'"time":', b"true", b",", b"",
]  # fmt: skip


def fuzz(seconds: float, seed: int) -> int:
    """Mutate for ``seconds``; the number of executions. Raises where the invariant breaks."""
    chance = random.Random(seed)
    count = 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for _ in range(200):
            judge_head(mutated(chance, HEADS))
            judge_answer(chance.choice((200, 207, 207, 207, 400, 401, 413, 429, 503)),
                         mutated(chance, ANSWERS))  # fmt: skip
            count += 2
    return count


def mutated(chance: random.Random, seeds: list[bytes]) -> bytes:
    """A seed, hurt in a few places."""
    raw = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(0, 4)):
        at = chance.randrange(len(raw) + 1)
        raw[at : at + chance.choice((0, 0, 1, 3, 12))] = chance.choice(TOKENS)
    return bytes(raw)


def judge_head(line: bytes) -> None:
    """A head whose places rise from ``after``, or a refusal with a mend."""
    try:
        head = read_head(line)
    except RequestError as error:
        assert error.http_status == 400 and error.mend, error
        return
    places = (head.after, *head.numbers)
    assert list(places) == sorted(places), places
    assert places[-1] < 2**63, "it must fit into a row"


def judge_answer(status: int, body: bytes) -> None:
    """A verdict for each of two lines, or BadBatch."""
    try:
        assert len(read_answer(status, body, 2, NOW)) == 2
    except BadBatch:
        return
