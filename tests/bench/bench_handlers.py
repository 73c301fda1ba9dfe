"""A request answered by a program, end to end: `python -m tests.bench.bench_handlers`.

Two daemons on loopback with everything on disk, a runner, and handlers: the smallest program that
there is, a Python one, a server on loopback. Beside them the runner alone, without any message.
Last line: JSON. (By hand a job has a keeper around it, a Python process; under systemd a cgroup.)
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from fleet_agent.client import Client
from tests.busfleet import BusFleet, until
from tests.running_runner import RunningRunner

ROUNDS = 101
BURST = 200
JOBS = 4
SENDERS = ("ezra", "allegro", "miriam", "aaron")


class Local(BaseHTTPRequestHandler):
    """Answers 1."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "1")
        self.end_headers()
        self.wfile.write(b"1")

    def log_message(self, *_: object) -> None:
        """Quiet."""


def main() -> int:
    """Measure, print medians for people and a line of JSON for programs."""
    small, python = ["/bin/echo", "1"], [sys.executable, "-I", "-S", "-c", "print(1)"]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Local)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    runner_ms = alone(small)
    exec_ms, per_s = asked({"exec": small})
    python_ms, _ = asked({"exec": python})
    http_ms, http_per_s = asked({"http": url})
    server.shutdown()
    print(f"{ROUNDS} requests one after the other, medians; {BURST} from {len(SENDERS)} senders")
    print(f"  the runner alone, /bin/echo        {runner_ms:6.1f} ms")
    print(f"  ask → /bin/echo → answer           {exec_ms:6.1f} ms   {per_s:6.0f} a second")
    print(f"  ask → python3 -c → answer          {python_ms:6.1f} ms")
    print(f"  ask → server on loopback → answer  {http_ms:6.1f} ms   {http_per_s:6.0f} a second")
    print(json.dumps({
        "runner_ms": round(runner_ms, 2), "exec_ms": round(exec_ms, 2),
        "exec_python_ms": round(python_ms, 2), "http_ms": round(http_ms, 2),
        "exec_per_s": round(per_s), "http_per_s": round(http_per_s),
    }))  # fmt: skip
    return 0


def alone(command: list[str]) -> float:
    """Milliseconds from a connection to the runner to the end of its report."""
    with tempfile.TemporaryDirectory(prefix="fa-") as folder:
        runner = RunningRunner(Path(folder), {})
        runner.write({"request": {"exec": command}}, {})
        with runner:
            return median_ms(lambda: runner.run("request"))


def asked(handler: dict[str, object]) -> tuple[float, float]:
    """Milliseconds from `ask` to its answer, and how many a second many senders get."""
    with tempfile.TemporaryDirectory(prefix="fa-") as place:
        handlers = {"bezalel": {"request": handler}}
        limits = {"handler_jobs": JOBS}
        with BusFleet(
            Path(place), ("bezalel", *SENDERS), limits, handlers=handlers
        ) as fleet:  # fmt: skip
            fleet.start()
            if "exec" in handler:
                fleet.start_runner("bezalel")
            client = Client(socket=fleet.socket("ezra"), wizard="ezra")
            one = median_ms(lambda: client.ask("bezalel", "2+2?"))
            done = "SELECT count(*) FROM inbox WHERE state = 2"
            before = fleet.rows("bezalel", done)[0][0]
            began = time.monotonic()
            for name in SENDERS:
                own = Client(socket=fleet.socket(name), wizard=name)
                own.send_many([{"to": "bezalel", "payload": n} for n in range(BURST // JOBS)])
            until(lambda: fleet.rows("bezalel", done)[0][0] - before >= BURST)
            return one, BURST / (time.monotonic() - began)


def median_ms(call: Callable[[], object]) -> float:
    """The median of ``ROUNDS`` calls after a few that warm up."""
    seconds = []
    for number in range(ROUNDS + 5):
        began = time.perf_counter()
        call()
        if number >= 5:
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) * 1000


if __name__ == "__main__":
    sys.exit(main())
