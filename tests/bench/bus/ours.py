"""Our own daemons as their units run them: from a release, by the system's Python, with keys."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fleet_agent.httpd.client import request
from fleet_agent.registry.parse import parse
from tests.bench.bus.requests import KEY, RECEIVER, SENDER
from tests.busfleet import free_ports
from tests.daemon import Daemon, Machine

# What the unit names; the one of this environment where there is none.
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
# No bench fills a box by accident.
ROOM = {"inbox_messages": 100_000_000, "inbox_bytes": 64 * 2**30, "outbox_messages": 10_000_000,
        "outbox_peer_messages": 10_000_000}  # fmt: skip
_ASK_SECONDS = 60.0
_WAIT_SECONDS = 300.0
_LOOK_SECONDS = 0.001


class Ours:
    """Two daemons that share a key: bezalel sends, ezra receives."""

    def __init__(self, folder: Path, *, limits: Mapping[str, float] | None = None) -> None:
        self._folder = folder
        self.ports = dict(zip((RECEIVER, SENDER), free_ports(2), strict=True))
        self._machines = {name: Machine(folder / name) for name in self.ports}
        self._daemons: dict[str, Daemon] = {}
        registry = parse(json.dumps({"wizards": {
            name: {"host": "127.0.0.1", "role": "orchestrator" if name == RECEIVER else "worker",
                   "listen": {"port": port}}
            for name, port in self.ports.items()
        }}))  # fmt: skip
        for name, machine in self._machines.items():
            machine.install(registry, wizard=name, soul=None, limits={**ROOM, **(limits or {})},
                            listen_port=None)  # fmt: skip
            self._place_key(name)

    def start(self, *names: str) -> None:
        """Start these daemons, or both."""
        for name in names or tuple(self.ports):
            code = str(self._machines[name].home / "current/code")
            self._daemons[name] = Daemon([PYTHON, "-I", "-S", code, "serve", "--wizard", name])

    def end(self, name: str) -> None:
        """End one daemon as systemd does."""
        with self._daemons.pop(name) as daemon:
            daemon.end()

    def pid(self, name: str = RECEIVER) -> int:
        """The daemon's process."""
        return self._daemons[name].process.pid

    @property
    def pids(self) -> tuple[int, ...]:
        """Both processes."""
        return tuple(daemon.process.pid for daemon in self._daemons.values())

    @property
    def url(self) -> str:
        """Where ezra takes messages."""
        return f"http://127.0.0.1:{self.ports[RECEIVER]}/message"

    def ask(self, name: str, method: str, target: str, body: bytes | None = None,
            media: str = "application/json") -> tuple[int, Any]:  # fmt: skip
        """One request of the local agent of ``name``: status and body."""
        path = self._machines[name].root / f"run/fleet-agent/{name}/agent.sock"
        answer = request(method, f"http://agent{target}", _ASK_SECONDS, body=body,
                         headers=(("Content-Type", media),), unix_path=str(path),
                         body_limit=64 << 20)  # fmt: skip
        return answer.status, answer.body

    def number(self, name: str, sql: str) -> int:
        """One number out of the boxes of ``name``."""
        with self.boxes(name) as connection:
            found: int | None = connection.execute(sql).fetchone()[0]
        return found or 0

    def boxes(self, name: str) -> sqlite3.Connection:
        """The file of the boxes of ``name``, opened anew."""
        path = self._machines[name].state(name) / "bus.db"
        return sqlite3.connect(path, timeout=_ASK_SECONDS, isolation_level=None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        for daemon in self._daemons.values():
            daemon.close()

    def _place_key(self, name: str) -> None:
        """The pair's key, as phase keys would place it."""
        (other,) = set(self.ports) - {name}
        folder = self._machines[name].root / f"etc/fleet-agent/{name}/keys"
        folder.mkdir(parents=True)
        key = b2a_base64(KEY, newline=False).decode()
        value = {"v": 1, "wizard": name, "pairs": {other: [{"epoch": 1, "key": key}]}}
        (folder / "pairs.json").write_text(json.dumps(value))
        (folder / "pairs.json").chmod(0o600)


def until(look: Callable[[], bool], why: str) -> None:
    """Wait until ``look`` says yes. Raises SystemExit when it never does."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not look():
        if time.monotonic() > deadline:
            raise SystemExit(why)
        time.sleep(_LOOK_SECONDS)
