"""A real runner process with the handlers that a test gives it, and a client for its socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fleet_agent.runner import protocol
from fleet_agent.runner.protocol import Order, Outcome
from tests.busfleet import SECONDS, until
from tests.daemon import Daemon


class RunningRunner:
    """``fleet-agent exec-runner --config``, over and over where a test ends it.

    ``programs`` are Python sources by the type of message that they handle.
    """

    def __init__(
        self, folder: Path, programs: Mapping[str, str], limits: Mapping[str, float] | None = None
    ) -> None:
        self.folder = folder
        self.run_dir = folder / "run"
        handlers = {}
        for kind, source in programs.items():
            path = folder / f"{kind}.py"
            path.write_text(source)
            handlers[kind] = {"exec": [sys.executable, "-I", "-S", str(path)]}
        self.config = folder / "runner.yaml"
        self.write(handlers, limits or {})
        self.process: Daemon | None = None

    def write(self, handlers: Mapping[str, Any], limits: Mapping[str, float]) -> None:
        """Write the settings; they count from the next start."""
        settings = {
            "wizard": "ezra", "run_dir": str(self.run_dir), "state_dir": str(self.folder),
            "handlers": handlers, "limits": dict(limits),
        }  # fmt: skip
        self.config.write_text(json.dumps(settings))

    def start(self) -> Self:
        argv = [sys.executable, "-m", "fleet_agent", "exec-runner", "--config", str(self.config)]
        self.process = Daemon(argv)
        until(lambda: _listens(self.path), "the runner does not listen")
        return self

    @property
    def path(self) -> str:
        return str(self.run_dir / "exec.sock")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.process.pid

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        code = self.process.end(number)
        self.process.close()
        self.process = None
        return code

    def begin(self, name: str, given: bytes = b"{}", id_: str = "m-1") -> socket.socket:
        """Give an order; the connection."""
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(SECONDS)
        made.connect(self.path)
        made.sendall(protocol.write_order(Order(name, id_, len(given))) + given)
        return made

    def run(self, name: str, given: bytes = b"{}") -> Outcome:
        """One job to its end."""
        with self.begin(name, given) as line:
            return heard(line)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self.process is not None:
            self.process.close()


def heard(line: socket.socket) -> Outcome:
    """The report that comes over ``line``."""
    data = b""
    while part := line.recv(65536):
        data += part
    first, _, rest = data.partition(b"\n")
    report = protocol.read_report(first)
    assert len(rest) == report.size
    return Outcome(report.why, report.reason, rest, report.seconds)


def alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def pids(path: Path, count: int) -> list[int]:
    """The numbers in a file, once there are ``count`` of them."""

    def look() -> Sequence[int]:
        words = path.read_text().split() if path.exists() else []
        return [int(word) for word in words] if len(words) >= count else []

    return list(until(look, f"{path.name} does not hold {count} pids"))


def _listens(path: str) -> bool:
    if not os.path.exists(path):
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0
