"""From exec to the first answered /health, and idle memory: `python -m tests.bench.bench_start`.

The daemon is started as its unit does it, from a release, with its socket handed over; the request
waits in the socket's queue before the process exists. Last line: JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, NamedTuple

from tests.daemon import Machine

ROUNDS = 21
SETTLE_SECONDS = 1.0
WAIT_SECONDS = 20.0
REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# What the unit names; the one of this environment where there is none.
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


class Seen(NamedTuple):
    """One start: milliseconds to the answer, MiB of resident memory when idle."""

    first_health_ms: float
    idle_mib: float


def main() -> int:
    """Measure, print medians for people and a line of JSON for programs."""
    with tempfile.TemporaryDirectory(prefix="fleet-agent-bench-") as folder:
        machine = Machine(Path(folder))
        machine.install()
        code = str(machine.home / "current/code")
        start(code)  # fills the page cache, and the bytecode where the other Python made it
        seen, floors = [], []
        for _ in range(ROUNDS):
            floors.append(floor_ms())
            seen.append(start(code))
    first = statistics.median(one.first_health_ms for one in seen)
    idle = statistics.median(one.idle_mib for one in seen)
    print(f"{ROUNDS} starts of a wizard's daemon under {PYTHON} -I -S, medians")
    print(f"  exec to the first answered /health  {first:6.1f} ms  (asked for: 60 at most)")
    print(f"  of it: python -I -S -c pass         {statistics.median(floors):6.1f} ms")
    print(f"  idle, one second later              {idle:6.1f} MiB (asked for: 25 at most)")
    print(json.dumps({"first_health_ms": round(first, 1), "idle_mib": round(idle, 1)}))
    return 0


def start(code: str) -> Seen:
    """Start one daemon, ask it, let it idle, end it."""
    with tempfile.TemporaryFile() as log, socket.socket() as listening, socket.socket() as asking:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        asking.connect(listening.getsockname())
        asking.sendall(REQUEST)
        asking.settimeout(WAIT_SECONDS)
        began = time.perf_counter()
        pid = spawn([PYTHON, "-I", "-S", code, "serve", "--wizard", "ezra"], listening, log)
        # Only the daemon listens now: where it dies, the request is told at once.
        listening.close()
        try:
            answer = received(asking)
            took = time.perf_counter() - began
            if not answer.startswith(b"HTTP/1.1 200 "):
                log.seek(0)
                print(log.read().decode(), file=sys.stderr)
                raise SystemExit(f"/health answered {answer[:200]!r}; above: the daemon's words")
            time.sleep(SETTLE_SECONDS)
            return Seen(took * 1000, resident_mib(pid))
        finally:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)


def received(asking: socket.socket) -> bytes:
    """All that comes until the other end is closed; what there is when it is broken or silent."""
    parts = []
    with contextlib.suppress(OSError):
        while part := asking.recv(65536):
            parts.append(part)
    return b"".join(parts)


def spawn(argv: list[str], listening: socket.socket, log: IO[bytes]) -> int:
    """fork and exec with the socket as systemd hands it over; LISTEN_PID is the child's own."""
    pid = os.fork()
    if pid:
        return pid
    with contextlib.suppress(OSError):
        os.dup2(log.fileno(), 2)  # first: the log may be descriptor 3
        os.dup2(listening.fileno(), 3)
        os.set_inheritable(3, True)
        environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1",
                       "LISTEN_FDNAMES": "gateway", "PATH": "/usr/bin:/bin"}  # fmt: skip
        os.execve(argv[0], argv, environment)
    os._exit(127)


def floor_ms() -> float:
    """What Python itself takes to do nothing."""
    began = time.perf_counter()
    pid = os.posix_spawn(PYTHON, [PYTHON, "-I", "-S", "-c", "pass"], {})
    os.waitpid(pid, 0)
    return (time.perf_counter() - began) * 1000


def resident_mib(pid: int) -> float:
    """VmRSS of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"process {pid} tells no VmRSS")


if __name__ == "__main__":
    raise SystemExit(main())
