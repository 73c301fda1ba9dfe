"""Messages a second into one daemon and from one to the next, fsynced before each 202; and others'.

Ours, FastAPI, Redis and NATS take turns, round by round, under load from wrk (Redis and NATS have
loads of their own). Prints medians and ratios and, last, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.bench.bus import peers, requests, wrk
from tests.bench.bus.ours import Ours, until
from tests.bench.bus.requests import RECEIVER, SENDER
from tests.bench.bus.use import use_of

BATCH = 100
SHAPES = {  # name: connections, messages a request, more requests a second than can be answered
    "c1": (1, 1, 9_000),
    "c64": (64, 1, 90_000),
    "c500": (500, 1, 90_000),
    "batch": (1, BATCH, 2_500),
}
PEER_CONNECTIONS = 64  # where the others are compared
LOCAL_BATCH = 1000
END_TO_END_A_SECOND = 10_000  # messages for each second of a round
IDLE = 200
RSS_WORDS = "memory of the busier daemon"
DEPTH = "SELECT count FROM tally WHERE box = 'inbox'"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (3)")
    parser.add_argument("--seconds", type=int, default=4, help="of each load (4)")
    parser.add_argument("--no-peers", action="store_true", help="only ours")
    asked = parser.parse_args(argv)
    if not wrk.installed():
        print("bench-bus needs wrk: apt-get install wrk", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="fa-") as folder, ExitStack() as stack:
        ours = stack.enter_context(Ours(Path(folder)))
        ours.start()
        others = [] if asked.no_peers else _others(Path(folder), stack)
        found: dict[str, list[float]] = defaultdict(list)
        for number in range(asked.rounds):
            for name in SHAPES:
                _keep(found, name, shape(ours, Path(folder), name, asked.seconds))
            for other in others:
                figure = other.load(PEER_CONNECTIONS, asked.seconds)
                _keep(found, other.name, figure._asdict())
            _keep(found, "end_to_end", end_to_end(ours, asked.seconds))
            print(f"round {number + 1} of {asked.rounds} done", file=sys.stderr)
        idle = idle_ms(ours)
        found["rss_mib"].append(max(use_of(pid).rss_mib for pid in ours.pids))
    medians = {name: statistics.median(values) for name, values in found.items()}
    _print(medians, idle, [other.name for other in others])
    return 0


def shape(ours: Ours, folder: Path, name: str, seconds: int) -> dict[str, float]:
    """One round of one shape: messages a second, latencies, CPU a message in µs."""
    connections, lines, most = SHAPES[name]
    made = requests.write(folder / "requests", most * seconds + 2 * connections, lines=lines)
    before, have = use_of(ours.pid()), ours.number(RECEIVER, DEPTH)
    seen = wrk.load(ours.url, connections, seconds, made)
    # wrk leaves some under way when it ends; they count as work, not as answers.
    taken = ours.number(RECEIVER, DEPTH) - have
    after = use_of(ours.pid())
    if taken < seen.answered * lines:
        raise SystemExit(f"{name}: {seen.answered * lines} were answered 202, {taken} are there")
    return {
        "per_s": seen.per_s * lines,
        "p50_ms": seen.p50_ms,
        "p99_ms": seen.p99_ms,
        "cpu_us": (after.cpu - before.cpu) / taken * 1e6,
    }


def end_to_end(ours: Ours, seconds: int) -> dict[str, float]:
    """From bezalel's agent into ezra's inbox, both sides fsynced."""
    count = END_TO_END_A_SECOND * seconds // LOCAL_BATCH * LOCAL_BATCH
    batch = b"\n".join([requests.message()] * LOCAL_BATCH)
    have, cpu = ours.number(RECEIVER, DEPTH), use_of(*ours.pids).cpu
    begin = time.perf_counter()
    for _ in range(count // LOCAL_BATCH):
        status, _ = ours.ask(SENDER, "POST", "/message", batch, "application/x-ndjson")
        if status != 202:
            raise SystemExit(f"end to end: {status}")
    with ours.boxes(RECEIVER) as boxes:
        until(lambda: _depth(boxes) >= have + count, "end to end: they did not arrive")
    took = time.perf_counter() - begin
    return {"per_s": count / took, "cpu_us": (use_of(*ours.pids).cpu - cpu) / count * 1e6}


def idle_ms(ours: Ours) -> float:
    """Median from the agent's POST to the receiver's disk, one at a time, in ms."""
    spent = []
    with ours.boxes(RECEIVER) as boxes:
        for _ in range(IDLE):
            have = _depth(boxes)
            begin = time.perf_counter()
            ours.ask(SENDER, "POST", "/message", requests.message())
            until(lambda have=have: _depth(boxes) > have, "idle: it did not arrive")
            spent.append((time.perf_counter() - begin) * 1000)
    return statistics.median(spent)


def _depth(boxes: sqlite3.Connection) -> int:
    return int(boxes.execute(DEPTH).fetchone()[0])


def _others(folder: Path, stack: ExitStack) -> list[peers.Peer]:
    found = []
    for kind in peers.ALL:
        if kind.missing:
            print(f"{kind.name}: not measured, {kind.missing} is not installed", file=sys.stderr)
            continue
        found.append(stack.enter_context(kind(folder)))
    if any(isinstance(one, peers.Nats) for one in found) and not peers.Nats.syncs():
        print("nats: before 2.10 it never fsyncs ahead of its answer, so its figure flatters it",
              file=sys.stderr)  # fmt: skip
    return found


def _keep(found: dict[str, list[float]], name: str, round_: Mapping[str, float]) -> None:
    for key, value in round_.items():
        found[f"{name}_{key}"].append(value)


def _print(medians: Mapping[str, float], idle: float, others: Sequence[str]) -> None:
    for name in (*SHAPES, *others, "end_to_end"):
        values = {key.removeprefix(f"{name}_"): value for key, value in medians.items()
                  if key.startswith(f"{name}_")}  # fmt: skip
        print(f"{name:11}", *(f"{key} {value:10.2f}" for key, value in values.items()))
    print(f"one message end to end, idle: {idle:.2f} ms; {RSS_WORDS} {medians['rss_mib']:.1f} MiB")
    result: dict[str, float | None] = {
        "c1_per_s": medians["c1_per_s"],
        "c64_per_s": medians["c64_per_s"],
        "c64_p99_ms": medians["c64_p99_ms"],
        "c500_per_s": medians["c500_per_s"],
        "c500_p99_ms": medians["c500_p99_ms"],
        "batch_per_s": medians["batch_per_s"],
        "cpu_us_per_message": medians["c64_cpu_us"],
        "end_to_end_per_s": medians["end_to_end_per_s"],
        "end_to_end_idle_ms": idle,
        "rss_mib": medians["rss_mib"],
    }
    for kind in peers.ALL:
        theirs = medians.get(f"{kind.name}_per_s")
        result[f"ratio_{kind.name}"] = theirs and medians["c64_per_s"] / theirs
    print(json.dumps({key: value and round(value, 2) for key, value in result.items()}))


if __name__ == "__main__":
    sys.exit(main())
