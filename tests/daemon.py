"""Real releases and daemon processes for tests, below a folder that is a node's root."""

from __future__ import annotations

import compileall
import functools
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from fleet_agent.registry.compiled import compile as compiled
from fleet_agent.registry.compiled import public
from fleet_agent.registry.parse import parse
from fleet_agent.registry.schema import Registry
from fleet_agent.release.build import Hook, WizardSource, build, code_of
from fleet_agent.release.manifest import to_json

PACKAGE = Path(__file__).parents[1] / "fleet_agent"
UNITS = Path(__file__).parents[1] / "systemd"
WAIT_SECONDS = 20.0
FLEET = """
fleet: timmy
wizards:
  ezra:    {host: 127.0.0.1, role: orchestrator, capabilities: [ansible-deploy],
            soul: {file: souls/ezra.md}}
  bezalel: {host: 192.0.2.11, capabilities: [code-review, ansible-deploy]}
  allegro: {host: "2001:db8::12", model: google/gemma-4-31b-it}
"""


@functools.cache
def code_files() -> Mapping[str, bytes]:
    """The package as a release holds it."""
    found = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("schema/*.sql")]
    return {
        str(path.relative_to(PACKAGE.parent)): path.read_bytes()
        for path in found
        if "share" not in path.parts
    }


def fleet(text: str = FLEET) -> Registry:
    """A checked registry."""
    return parse(text)


class Machine:
    """A node's root in a folder: releases are installed into it as a deploy would."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "opt/fleet-agent"

    def install(
        self,
        registry: Registry | None = None,
        *,
        wizard: str = "ezra",
        soul: bytes | None = b"Be kind.\n",
        unsigned: bool = False,
        limits: Mapping[str, float] | None = None,
        listen_port: int | None = 0,
        hook: Hook | None = None,
    ) -> str:
        """Build and place a release with one wizard, switch ``current`` to it; its name."""
        registry = registry or fleet()
        one = registry.wizard(wizard)
        if listen_port is not None:
            one = one._replace(listen=one.listen._replace(port=listen_port))
        if soul is None:
            one = one._replace(soul=None)
        units = {path.name: path.read_bytes() for path in UNITS.iterdir()}
        built = build(
            registry.fleet,
            [WizardSource(one, soul, (), limits or {}, unsigned, hook)],
            code=code_of(code_files()),
            registry_json=json.dumps(public(compiled(registry))).encode(),
            unit_sources=units,
            root=str(self.root),
        )
        place = self.home / "releases" / built.id
        for path, (mode, content) in built.tree.items():
            if not path.startswith("code/fleet_agent/"):
                _write(place / path, content, mode)
        shutil.copytree(_compiled(), place / "code/fleet_agent", copy_function=os.link,
                        dirs_exist_ok=True)  # fmt: skip
        _write(place / "manifest.json", json.dumps(to_json(built.manifest)).encode(), 0o644)
        self.switch(built.id)
        return built.id

    def switch(self, release: str) -> None:
        """Point ``current`` to ``release``, atomically."""
        waiting = self.home / "current.new"
        waiting.symlink_to(f"releases/{release}")
        waiting.rename(self.home / "current")

    def state(self, wizard: str = "ezra") -> Path:
        """The folder of the wizard's boxes."""
        return self.root / "var/lib/fleet-agent" / wizard

    def argv(self, wizard: str = "ezra") -> list[str]:
        """How the wizard's unit starts its daemon."""
        return [sys.executable, "-I", "-S", str(self.home / "current/code"), "serve",
                "--wizard", wizard]  # fmt: skip


class Daemon:
    """A daemon process, from its start to its end; ready when it has told so (sd_notify)."""

    def __init__(
        self,
        argv: list[str],
        *,
        env: Mapping[str, str] | None = None,
        wait: bool = True,
        close_fds: bool = True,
    ) -> None:
        # Short: a Unix socket's path has room for 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="fa-"))
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(self._folder / "notify"))
        self._notify.settimeout(WAIT_SECONDS)
        self._log = (self._folder / "log").open("w+b")
        self.process = subprocess.Popen(
            argv,
            env={"PATH": "/usr/bin:/bin", **(env or {}),
                 "NOTIFY_SOCKET": str(self._folder / "notify")},
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, close_fds=close_fds,
        )  # fmt: skip
        if wait:
            try:
                self.until("READY=1")
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> Daemon:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    @property
    def log(self) -> str:
        """All that it has said so far."""
        return (self._folder / "log").read_text()

    @property
    def port(self) -> int:
        """The TCP port of its gateway."""
        line = next(line for line in self.log.splitlines() if "serving on" in line)
        return int(line.split("http://")[1].split(",")[0].rpartition(":")[2])

    def until(self, word: str) -> list[str]:
        """Wait until it tells ``word``; all words up to there."""
        heard: list[str] = []
        deadline = time.monotonic() + WAIT_SECONDS
        while word not in heard:
            self._notify.settimeout(0.2)
            try:
                heard += self._notify.recv(4096).decode().splitlines()
            except TimeoutError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"{word} did not come: {heard}\n{self.log}") from None
        return heard

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(WAIT_SECONDS)

    def close(self) -> None:
        """Kill what is left and take everything away."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._notify.close()
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def ask(
    port: int, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any, dict[str, str]]:
    """One request to loopback: status, body (parsed where it is JSON), headers in lower case."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)
    try:
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, path, raw, dict(headers or {}))
        answer = connection.getresponse()
        data = answer.read()
        said = {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()
    is_json = said.get("content-type", "").endswith("json") and "ndjson" not in said["content-type"]
    return answer.status, json.loads(data) if is_json else data, said


@functools.cache
def _compiled() -> Path:
    """The package once, with its bytecode, to be linked into releases."""
    place = Path(tempfile.mkdtemp(prefix="fleet-agent-code-")) / "fleet_agent"
    for path, content in code_files().items():
        _write(place.parent / path, content, 0o644)
    compileall.compile_dir(str(place), quiet=2)
    return place


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
