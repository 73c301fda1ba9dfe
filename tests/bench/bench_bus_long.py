"""The bus in the long run: a million messages in, a million waiting, random ids, health in a burst.

Prints figures for people and, last, one line of JSON. `--messages` makes it smaller.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fleet_agent.errors import NodeError
from fleet_agent.httpd.client import get
from tests.bench.bus import requests, wrk
from tests.bench.bus.ours import Ours, until
from tests.bench.bus.requests import RECEIVER, SENDER
from tests.bench.bus.use import use_of

LOCAL_BATCH = 1000
LOOKS = 10
SECONDS = 3
RATE = 90_000  # requests a second for a load of 64 connections: more than can be answered
HEALTH_EVERY_SECONDS = 0.02
HEALTH_PATIENCE_SECONDS = 10.0
WAITING = "SELECT count(*) FROM (SELECT 1 FROM delivery WHERE state = 0 LIMIT 1)"


@contextmanager
def fleet() -> Iterator[tuple[Ours, Path]]:
    """Two daemons with empty boxes, none started."""
    with tempfile.TemporaryDirectory(prefix="fa-") as folder, Ours(Path(folder)) as ours:
        yield ours, Path(folder)


def main(argv: Sequence[str] | None = None) -> int:
    """Run all of it; 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000, help="how many are many (1e6)")
    parser.add_argument("--only", choices=sorted(PARTS), help="one part")
    asked = parser.parse_args(argv)
    if not wrk.installed():
        print("bench-bus-long needs wrk: apt-get install wrk", file=sys.stderr)
        return 1
    found: dict[str, float] = {}
    for name, part in PARTS.items():
        if asked.only in (None, name):
            found |= part(asked.messages)
    for name, value in found.items():
        print(f"{name:32} {value:12.2f}")
    print(json.dumps({name: round(value, 2) for name, value in found.items()}))
    return 0


def memory(messages: int) -> dict[str, float]:
    """A million messages into one inbox: memory after each tenth of them."""
    with fleet() as (ours, _):
        ours.start(RECEIVER)
        seen = [use_of(ours.pid()).rss_mib]
        for _ in range(LOOKS):
            fill(ours, RECEIVER, messages // LOOKS, to=RECEIVER, sender=RECEIVER)
            seen.append(use_of(ours.pid()).rss_mib)
    print("memory, MiB:", " ".join(f"{one:.1f}" for one in seen))
    return {"memory_start_mib": seen[0], "memory_tenth_mib": seen[1], "memory_end_mib": seen[-1]}


def waiting(messages: int) -> dict[str, float]:
    """A million wait in bezalel's outbox: what it takes in, when it starts, how it delivers."""
    with fleet() as (ours, folder):
        ours.start(SENDER)
        empty = burst(ours, folder, to_sender=True)
        fill(ours, SENDER, messages, to=RECEIVER, sender=SENDER)
        full = burst(ours, folder, to_sender=True)
        rss = use_of(ours.pid(SENDER)).rss_mib
        ours.end(SENDER)
        begin = time.perf_counter()
        ours.start(SENDER)
        restart = time.perf_counter() - begin
        begin = time.perf_counter()
        ours.start(RECEIVER)
        with ours.boxes(SENDER) as boxes:
            until(lambda: boxes.execute(WAITING).fetchone()[0] == 0, "they were not delivered")
        took = time.perf_counter() - begin
    return {
        "outbox_empty_per_s": empty, "outbox_full_per_s": full, "outbox_full_rss_mib": rss,
        "outbox_full_start_s": restart, "outbox_delivered_per_s": messages / took,
    }  # fmt: skip


def ids(messages: int) -> dict[str, float]:
    """CPU of messages with ids that sort by time, and with random ones, in a box with many."""
    with fleet() as (ours, folder):
        ours.start(RECEIVER)
        sorted_, random = [], []
        for _ in range(3):
            fill(ours, RECEIVER, messages // 8, to=RECEIVER, sender=RECEIVER)
            for cost, is_random in ((sorted_, False), (random, True)):
                cost.append(cpu(ours, folder, random_ids=is_random))
    plain, mixed = statistics.median(sorted_), statistics.median(random)
    return {"ids_sorted_cpu_us": plain, "ids_random_cpu_us": mixed,
            "ids_random_more_percent": (mixed / plain - 1) * 100}  # fmt: skip


def health(_: int) -> dict[str, float]:
    """How long /health takes while 500 connections send as fast as they can."""
    with fleet() as (ours, folder):
        ours.start(RECEIVER)
        spent: list[float] = []
        over = threading.Event()

        def look() -> None:
            url = f"http://127.0.0.1:{ours.ports[RECEIVER]}/health"
            while not over.wait(HEALTH_EVERY_SECONDS):
                begin = time.perf_counter()
                try:
                    get(url, HEALTH_PATIENCE_SECONDS)
                except NodeError as error:
                    print(f"/health: {error}", file=sys.stderr)
                spent.append((time.perf_counter() - begin) * 1000)

        made = requests.write(folder / "requests", RATE * SECONDS)
        looking = threading.Thread(target=look)
        looking.start()
        wrk.load(ours.url, 500, SECONDS, made)
        over.set()
        looking.join()
    spent.sort()
    return {"health_p50_ms": spent[len(spent) // 2], "health_most_ms": spent[-1]}


PARTS = {"memory": memory, "waiting": waiting, "ids": ids, "health": health}


def fill(ours: Ours, name: str, count: int, *, to: str, sender: str) -> None:
    """Let the local agent of ``name`` send ``count`` messages."""
    line = requests.message(**{"from": sender, "to": to})
    batch = b"\n".join([line] * LOCAL_BATCH)
    for _ in range(count // LOCAL_BATCH):
        status, body = ours.ask(name, "POST", "/message", batch, "application/x-ndjson")
        if status != 202:
            raise SystemExit(f"filling: {status} {body[:300]!r}")


def burst(ours: Ours, folder: Path, *, to_sender: bool) -> float:
    """Messages a second from 64 connections into ezra, or into bezalel (``to_sender``)."""
    path = folder / f"requests-{os.urandom(4).hex()}"
    turned = {"sender": RECEIVER, "receiver": SENDER} if to_sender else {}
    made = requests.write(path, RATE * SECONDS, **turned)
    port = ours.ports[SENDER if to_sender else RECEIVER]
    seen = wrk.load(f"http://127.0.0.1:{port}/message", 64, SECONDS, made)
    path.unlink()
    return seen.per_s


def cpu(ours: Ours, folder: Path, *, random_ids: bool) -> float:
    """CPU µs a message from 64 connections."""
    made = requests.write(folder / "requests", RATE * SECONDS, random_ids=random_ids)
    before = use_of(ours.pid())
    seen = wrk.load(ours.url, 64, SECONDS, made)
    return (use_of(ours.pid()).cpu - before.cpu) / seen.answered * 1e6


if __name__ == "__main__":
    sys.exit(main())
