"""How many messages a second one daemon takes, and two daemons pass on, fsynced before each 202.

Every request is signed and checked. The load is a process of its own on the same machine, so on a
busy one judge by CPU a message. Prints figures for people and, last, one line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, TOP)

from fleet_agent import signing  # noqa: E402
from tests.bench.busload import LENGTH  # noqa: E402
from tests.busfleet import BusFleet, until  # noqa: E402

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
# Messages a round; BENCH_SCALE makes all rounds shorter or longer.
SCALE = float(os.environ.get("BENCH_SCALE", "1"))
PAYLOAD = "x" * 180  # some 300 bytes a message
KEY = b"k" * 32
BATCH = 100
SHAPES = {  # name: connections, messages a request, messages
    "c1": (1, 1, 5_000),
    "c64": (64, 1, 60_000),
    "c500": (500, 1, 60_000),
    "batch": (1, BATCH, 100_000),
}
END_TO_END = 40_000
IDLE = 200
LOAD = str(Path(__file__).with_name("busload.py"))
TICKS = os.sysconf("SC_CLK_TCK")
ROOM = {"inbox_messages": 100_000_000, "inbox_bytes": 64 * 2**30, "outbox_messages": 10_000_000,
        "outbox_peer_messages": 10_000_000}  # fmt: skip


class Use(NamedTuple):
    """CPU seconds and memory of a process."""

    cpu: float
    rss_mib: float


def use_of(pid: int) -> Use:
    """What the process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Use((int(fields[11]) + int(fields[12])) / TICKS, pages * resource.getpagesize() / 2**20)


def message() -> bytes:
    """One message of bezalel's to ezra; its id is made by the daemon or by its signature."""
    value = {"from": "bezalel", "to": "ezra", "type": "request", "payload": PAYLOAD,
             "timestamp": 1_700_000_000}  # fmt: skip
    return json.dumps(value, separators=(",", ":")).encode()


def write_requests(path: Path, lines: int, count: int) -> None:
    """A file of signed requests with ``lines`` messages each."""
    now, run = int(time.time()), os.urandom(4).hex()
    body = b"\n".join([message()] * lines)
    media = "application/json" if lines == 1 else "application/x-ndjson"
    with path.open("wb") as file:
        for number in range(count):
            id_ = f"{now:x}-{run}-{number:08d}"
            head = (
                f"POST /message HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {media}\r\n"
                f"fleet-from: bezalel\r\nwebhook-id: {id_}\r\nwebhook-timestamp: {now}\r\n"
                f"webhook-signature: {signing.sign(KEY, id_, now, body)}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            ).encode()
            file.write(LENGTH.pack(len(head) + len(body)) + head + body)


def load(fleet: BusFleet, name: str) -> dict[str, float]:
    """One round of one shape: messages a second, latencies, CPU a message in µs."""
    connections, lines, messages = SHAPES[name]
    count = max(connections, int(messages * SCALE) // lines)
    path = fleet.folder / f"{name}.requests"
    write_requests(path, lines, count)
    pid = fleet.daemons["ezra"].process.pid
    before = use_of(pid)
    argv = [sys.executable, LOAD, str(fleet.ports["ezra"]), str(connections), str(path)]
    done = subprocess.run(argv, check=True, capture_output=True)
    said: dict[str, float] = json.loads(done.stdout)
    after = use_of(pid)
    path.unlink()
    if said["refused"]:
        raise SystemExit(f"{name}: {said['refused']:.0f} requests were not answered 202")
    total = count * lines
    return {
        "per_s": total / said["seconds"],
        "p50_ms": said["p50_ms"],
        "p99_ms": said["p99_ms"],
        "cpu_us": (after.cpu - before.cpu) / total * 1e6,
        "rss_mib": after.rss_mib,
    }


def end_to_end(fleet: BusFleet) -> dict[str, float]:
    """From bezalel's agent to ezra's inbox, both sides fsynced."""
    count = int(END_TO_END * SCALE)
    have = depth(fleet, "ezra")
    line = (
        b'{"from":"bezalel","to":"ezra","type":"request","payload":"' + PAYLOAD.encode()
        + b'","timestamp":1700000000}\n'
    )  # fmt: skip
    pids = [daemon.process.pid for daemon in fleet.daemons.values()]
    cpu = sum(use_of(pid).cpu for pid in pids)
    begin = time.perf_counter()
    for _ in range(count // 1000):
        status, _ = fleet.ask("bezalel", "POST", "/message", line * 1000)
        if status != 202:
            raise SystemExit(f"end to end: {status}")
    until(lambda: depth(fleet, "ezra") >= have + count // 1000 * 1000)
    seconds = time.perf_counter() - begin
    cpu = sum(use_of(pid).cpu for pid in pids) - cpu
    return {"per_s": count / seconds, "cpu_us": cpu / count * 1e6}


def idle_ms(fleet: BusFleet) -> float:
    """Median from the agent's POST to the receiver's disk, one at a time, in ms."""
    spent = []
    for number in range(IDLE):
        have = depth(fleet, "ezra")
        begin = time.perf_counter()
        fleet.send("bezalel", "ezra", number)
        while depth(fleet, "ezra") == have:
            time.sleep(0.0002)
        spent.append((time.perf_counter() - begin) * 1000)
    return statistics.median(spent)


def depth(fleet: BusFleet, name: str) -> int:
    """Messages in the wizard's inbox, as the file says."""
    return int(fleet.rows(name, "SELECT count(*) FROM inbox WHERE state < 2")[0][0])


def place_keys(fleet: BusFleet) -> None:
    """The pair's key, as phase keys would place it."""
    from binascii import b2a_base64

    key = b2a_base64(KEY, newline=False).decode()
    for name, other in (("ezra", "bezalel"), ("bezalel", "ezra")):
        folder = fleet.folder / name / "keys"
        folder.mkdir(parents=True)
        value = {"v": 1, "wizard": name, "pairs": {other: [{"epoch": 1, "key": key}]}}
        (folder / "pairs.json").write_text(json.dumps(value))
        (folder / "pairs.json").chmod(0o600)


def main() -> None:
    """All shapes in turn, round by round; medians."""
    rounds: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="fa-") as folder:
        fleet = BusFleet(Path(folder), limits=ROOM)
        place_keys(fleet)
        with fleet:
            fleet.start()
            for _ in range(ROUNDS):
                for name in SHAPES:
                    rounds.setdefault(name, []).append(load(fleet, name))
                rounds.setdefault("end_to_end", []).append(end_to_end(fleet))
            idle = idle_ms(fleet)
            rss = max(use_of(daemon.process.pid).rss_mib for daemon in fleet.daemons.values())
    medians: dict[str, dict[str, float]] = {
        name: {key: statistics.median(one[key] for one in found) for key in found[0]}
        for name, found in rounds.items()
    }
    for name, found in medians.items():
        print(f"{name:11}", *(f"{key} {value:10.1f}" for key, value in found.items()))
    print(f"one message end to end, idle: {idle:.2f} ms; memory {rss:.1f} MiB")
    result: dict[str, Any] = {
        "c1_per_s": medians["c1"]["per_s"],
        "c64_per_s": medians["c64"]["per_s"],
        "c64_p99_ms": medians["c64"]["p99_ms"],
        "c500_per_s": medians["c500"]["per_s"],
        "c500_p99_ms": medians["c500"]["p99_ms"],
        "batch_per_s": medians["batch"]["per_s"],
        "cpu_us_per_message": medians["c64"]["cpu_us"],
        "end_to_end_per_s": medians["end_to_end"]["per_s"],
        "end_to_end_idle_ms": idle,
        "rss_mib": rss,
    }
    print(json.dumps({key: round(value, 2) for key, value in result.items()}))


if __name__ == "__main__":
    main()
