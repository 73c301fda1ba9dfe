"""The others: FastAPI with uvicorn, Redis, NATS JetStream; each fsyncs before its yes, if it can.

Each is started on a free port with its files in a folder, and loaded like ours.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tests.bench.bus import requests, wrk
from tests.bench.bus.use import use_of
from tests.busfleet import free_ports

HERE = Path(__file__).parent
_START_SECONDS = 30.0
_REDIS_GUESS = 30_000  # messages a second; redis-benchmark counts instead of looking at the clock
_REDIS_COLUMNS = 7  # of its CSV, behind the command (which may hold anything)
_SYNC_ALWAYS = (2, 10)  # the first nats-server with sync_interval: always


class Figure(NamedTuple):
    """One round: messages a second, p99 in ms, CPU µs a message, memory in MiB."""

    per_s: float
    p99_ms: float
    cpu_us: float
    rss_mib: float


class Peer:
    """A server in a process of its own."""

    name = ""
    missing = ""  # what is not here, "" where all is

    def __init__(self, folder: Path) -> None:
        self.folder = folder / self.name
        self.folder.mkdir()
        (self.port,) = free_ports(1)
        self.process = subprocess.Popen(
            self.argv(), env={**os.environ, **self.environment()}, cwd=Path.cwd(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._await()
        self.started()

    def argv(self) -> list[str]:
        """How it is started."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """What it finds in its environment."""
        return {}

    def started(self) -> None:
        """It listens."""

    def load(self, connections: int, seconds: int) -> Figure:
        """One round."""
        raise NotImplementedError

    def measured(self, run: Callable[[], tuple[int, float, float]]) -> Figure:
        """The figure of ``run``, which gives messages, messages a second and p99 in ms."""
        before = use_of(self.process.pid)
        count, per_s, p99_ms = run()
        after = use_of(self.process.pid)
        return Figure(per_s, p99_ms, (after.cpu - before.cpu) / max(count, 1) * 1e6, after.rss_mib)

    def _await(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise SystemExit(f"{self.name} did not start") from None
                time.sleep(0.05)
            else:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.process.terminate()
        self.process.wait()


class FastApi(Peer):
    """uvicorn with what it takes to be fast (uvloop, httptools)."""

    name = "fastapi"
    missing = "" if all(map(importlib.util.find_spec, ("fastapi", "uvicorn"))) else "fastapi"

    def argv(self) -> list[str]:
        return [sys.executable, "-m", "uvicorn", "tests.bench.bus.fastapi_app:app", "--port",
                str(self.port), "--log-level", "critical", "--no-access-log"]  # fmt: skip

    def environment(self) -> dict[str, str]:
        return {"BENCH_DB": str(self.folder / "boxes.db"), "BENCH_KEY": requests.KEY.hex()}

    def load(self, connections: int, seconds: int) -> Figure:
        def run() -> tuple[int, float, float]:
            made = requests.write(self.folder / "requests", 12_000 * seconds + 2 * connections)
            seen = wrk.load(f"http://127.0.0.1:{self.port}/message", connections, seconds, made)
            return seen.answered, seen.per_s, seen.p99_ms

        return self.measured(run)


class Redis(Peer):
    """XADD with appendfsync always; no HTTP, no signature, no repeats known."""

    name = "redis"
    missing = "" if all(map(shutil.which, ("redis-server", "redis-benchmark"))) else "redis-server"

    def argv(self) -> list[str]:
        return ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir",
                str(self.folder), "--save", "", "--appendonly", "yes", "--appendfsync",
                "always"]  # fmt: skip

    def load(self, connections: int, seconds: int) -> Figure:
        count = (3_000 if connections == 1 else _REDIS_GUESS) * seconds

        def run() -> tuple[int, float, float]:
            done = subprocess.run(
                ["redis-benchmark", "-p", str(self.port), "-c", str(connections), "-n",
                 str(count), "--csv", "XADD", "inbox", "*", "m", requests.message().decode()],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            names, values = (
                [part.strip('"') for part in line.rsplit(",", _REDIS_COLUMNS)[1:]]
                for line in done.stdout.strip().splitlines()[-2:]
            )
            said = dict(zip(names, values, strict=True))
            return count, float(said["rps"]), float(said["p99_latency_ms"])

        return self.measured(run)


class Nats(Peer):
    """JetStream on files, an acknowledged publish for each message."""

    name = "nats"
    missing = "" if shutil.which("nats-server") else "nats-server"

    @staticmethod
    def version() -> tuple[int, ...]:
        """The server's version, as far as it matters."""
        said = subprocess.run(["nats-server", "-v"], check=True, capture_output=True, text=True)
        found = re.search(r"(\d+)\.(\d+)", said.stdout)
        return tuple(int(part) for part in found.groups()) if found else (0, 0)

    @classmethod
    def syncs(cls) -> bool:
        """Whether this release can fsync before it acknowledges."""
        return cls.version() >= _SYNC_ALWAYS

    def argv(self) -> list[str]:
        sync = "sync_interval: always" if self.syncs() else ""
        place = self.folder / "nats.conf"
        place.write_text(f'jetstream {{\n  store_dir: "{self.folder}/js"\n  {sync}\n}}\n')
        return ["nats-server", "-c", str(place), "-a", "127.0.0.1", "-p", str(self.port)]

    def load(self, connections: int, seconds: int) -> Figure:
        def run() -> tuple[int, float, float]:
            done = subprocess.run(
                [sys.executable, str(HERE / "natsload.py"), str(self.port), str(connections),
                 str(seconds)],
                check=True, capture_output=True, text=True, input=requests.message().decode(),
            )  # fmt: skip
            said = json.loads(done.stdout)
            return said["count"], said["per_s"], said["p99_ms"]

        return self.measured(run)


ALL: tuple[type[Peer], ...] = (FastApi, Redis, Nats)
