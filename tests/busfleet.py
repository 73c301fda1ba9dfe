"""A few real daemons on loopback that know each other, without keys: `unsigned: allow`."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fleet_agent.httpd.client import request
from tests.daemon import Daemon

SECONDS = 60.0
QUICK = {"outbox_retry_first_seconds": 0.05, "outbox_retry_most_seconds": 0.5}


class BusFleet:
    """Wizards by name. Nothing runs until ``start``."""

    def __init__(
        self,
        folder: Path,
        names: Sequence[str] = ("ezra", "bezalel"),
        limits: Mapping[str, float] = QUICK,
        capabilities: Mapping[str, Sequence[str]] | None = None,
        subscriptions: Mapping[str, Sequence[str]] | None = None,
        tls: bool = False,
        handlers: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.folder = folder
        self.tls = tls  # of whom is configured from now on
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.daemons: dict[str, Daemon] = {}
        self.runners: dict[str, Daemon] = {}
        self.handlers = handlers or {}
        wizards = {
            name: {
                "host": "127.0.0.1",
                "role": "worker" if number else "orchestrator",
                "listen": {"port": port},
                "capabilities": list((capabilities or {}).get(name, ())),
                "subscriptions": list((subscriptions or {}).get(name, ())),
            }
            for number, (name, port) in enumerate(self.ports.items())
        }
        # JSON is YAML.
        (folder / "fleet.yaml").write_text(json.dumps({"wizards": wizards, "tls": tls}))
        for name in names:
            self.configure(name, limits)

    def configure(self, name: str, limits: Mapping[str, float]) -> None:
        """Write the settings of one wizard; they count from its next start or reload."""
        settings = {
            "wizard": name,
            "listen": {"address": "127.0.0.1", "port": self.ports[name]},
            "registry": "fleet.yaml",
            "unsigned": "allow",
            "tls": self.tls,
            "state_dir": str(self.folder / name),
            "run_dir": str(self.folder / name / "run"),
            "keys_dir": str(self.folder / name / "keys"),
            "limits": dict(limits),
            "handlers": self.handlers.get(name, {}),
        }
        (self.folder / f"{name}.yaml").write_text(json.dumps(settings))

    def start(self, *names: str) -> None:
        """Start these wizards' daemons, or all."""
        for name in names or tuple(self.ports):
            config = str(self.folder / f"{name}.yaml")
            argv = [sys.executable, "-m", "fleet_agent", "serve", "--config", config]
            self.daemons[name] = Daemon(argv)

    def start_runner(self, name: str) -> None:
        """Start what runs the programs that are this wizard's handlers."""
        config = str(self.folder / f"{name}.yaml")
        argv = [sys.executable, "-m", "fleet_agent", "exec-runner", "--config", config]
        self.runners[name] = Daemon(argv)

    def end_runner(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        """End it with a signal; its exit code."""
        runner = self.runners.pop(name)
        code = runner.end(number)
        runner.close()
        return code

    def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        """End one daemon with a signal; its exit code."""
        daemon = self.daemons.pop(name)
        code = daemon.end(number)
        daemon.close()
        return code

    def socket(self, name: str) -> str:
        """The Unix socket of the wizard's agent."""
        return str(self.folder / name / "run" / "agent.sock")

    def ask(self, name: str, method: str, target: str, body: Any = None) -> tuple[int, Any]:
        """One request of the local agent: status, and the body where it is JSON."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        media = "application/x-ndjson" if isinstance(body, bytes) else "application/json"
        answer = request(
            method, f"http://agent{target}", SECONDS, body=raw,
            headers=(("Content-Type", media),), unix_path=self.socket(name),
        )  # fmt: skip
        kind = answer.headers.get("content-type") or ""
        is_json = kind.endswith("json") and "ndjson" not in kind
        return answer.status, json.loads(answer.body) if is_json and answer.body else answer.body

    def send(self, name: str, to: str, payload: Any = 1, **more: Any) -> tuple[int, Any]:
        """The agent of ``name`` sends one message."""
        kind = more.pop("type", "request")
        return self.ask(name, "POST", "/message", {
            "from": name, "to": to, "type": kind, "payload": payload, "timestamp": 1, **more,
        })  # fmt: skip

    def rows(self, name: str, sql: str) -> list[Any]:
        """Rows of the wizard's boxes."""
        connection = sqlite3.connect(self.folder / name / "bus.db", timeout=SECONDS)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def inbox(self, name: str) -> list[Any]:
        """The payloads in the inbox, in order."""
        return [json.loads(row[0])["payload"] for row in
                self.rows(name, "SELECT body FROM inbox ORDER BY seq")]  # fmt: skip

    def health(self, name: str, check: str) -> dict[str, Any]:
        """One check of a wizard's health."""
        found: dict[str, Any] = self.ask(name, "GET", "/health")[1]["checks"][check][0]
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        for daemon in (*self.daemons.values(), *self.runners.values()):
            daemon.close()


def until(look: Callable[[], Any], why: str = "it did not come") -> Any:
    """Wait until ``look`` says something true; that."""
    deadline = time.monotonic() + SECONDS
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, why
        time.sleep(0.02)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
