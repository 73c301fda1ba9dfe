"""A node as a folder: a real supervisor, the real node.pyz, real daemons; phases driven by hand."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fleet_agent
from fleet_agent import proc
from fleet_agent.deploy import pairkeys
from fleet_agent.node import command
from fleet_agent.registry.compiled import compile as compiled
from fleet_agent.registry.parse import parse
from fleet_agent.release import pyz
from fleet_agent.release.build import Built, WizardSource, build, code_of
from fleet_agent.release.manifest import SecretEntry, to_json
from fleet_agent.release.pack import pack
from fleet_agent.setup.supervisor import call
from fleet_agent.wire import Phase

PACKAGE = Path(fleet_agent.__file__).parent
LIMITS = {
    "deploy_confirm_seconds": 60.0,
    "deploy_settle_seconds": 0.2,
    "deploy_lock_seconds": 1.0,
    "deploy_phase_seconds": 60.0,
}
UP_S = 20.0
WIZARD = "ezra"
UNITS = (
    f"fleet-agent@{WIZARD}.socket", f"fleet-agent@{WIZARD}.service",
    f"fleet-wizard@{WIZARD}.service",
)  # fmt: skip
MASTER = bytes(range(32))


def code_files() -> dict[str, bytes]:
    """The package's own modules, without what only the operator's side needs."""
    skipped = ("setup/", "deploy/", "share/", "node/", "release/")
    return {
        f"fleet_agent/{path.relative_to(PACKAGE)}": path.read_bytes()
        for path in sorted(PACKAGE.rglob("*"))
        if path.suffix in (".py", ".sql") and not str(path.relative_to(PACKAGE)).startswith(skipped)
    }


def unit_sources() -> dict[str, bytes]:
    """The unit files of this checkout."""
    return {path.name: path.read_bytes() for path in (PACKAGE.parent / "systemd").iterdir()}


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class World:
    """One node in a folder, with one wizard."""

    root: Path
    port: int
    code: Mapping[str, bytes] = field(default_factory=code_files)
    code_of_node: pyz.Pyz = field(default_factory=lambda: pyz.build(PACKAGE))

    @property
    def layout(self) -> dict[str, Any]:
        caller = [sys.executable, "-I", "-S", str(Path(call.__file__)), str(self.root)]
        return {
            "root": str(self.root),
            "systemctl": [*caller, "systemctl"],
            "systemd_run": [],
            "unprivileged": True,
            "python": sys.executable,
        }

    def release(
        self,
        config: str,
        soul: str = "be kind\n",
        more: str = "",
        entry: str = "",
        secrets: tuple[SecretEntry, ...] = (),
        tls: bool = False,
    ) -> Built:
        """A release; ``more`` becomes a line of code, ``entry`` one of the wizard's entry."""
        registry = parse(
            f"""
tls: {"true" if tls else "false"}
wizards:
  {WIZARD}:
    host: 127.0.0.1
    role: orchestrator
    listen: {{address: 127.0.0.1, port: {self.port}}}
    soul: {{file: soul.md, place: /home/{WIZARD}/.hermes/SOUL.md}}
    files: [{{source: a.yaml, place: /home/{WIZARD}/.hermes/config.yaml, mode: "0640"}}]
    runtime: {{command: [{sys.executable}, -c, "import time; time.sleep(1e6)"]}}
    {entry}
""",
        )
        code = dict(self.code)
        code["fleet_agent/errors.py"] += f"# {more}\n".encode()
        source = WizardSource(
            registry.wizard(WIZARD), soul.encode(), (config.encode(),), {}, registry.unsigned,
            secrets=secrets,
        )  # fmt: skip
        return build(
            registry.fleet,
            [source],
            code=code_of(code),
            registry_json=json.dumps(compiled(registry)).encode(),
            unit_sources=unit_sources(),
            root=str(self.root),
        )

    def systemctl(self, *words: str) -> str:
        return proc.run([*self.layout["systemctl"], *words], timeout_seconds=30, check=False).text

    def pid(self, unit: str) -> str:
        return self.systemctl("show", "--property=MainPID", unit)

    def read(self, path: str) -> Any:
        return json.loads((self.root / path.lstrip("/")).read_text())

    def journal(self) -> dict[str, Any]:
        return dict(self.read("/var/lib/fleet-agent/node/journal.json"))

    def power_cut(self) -> None:
        """What a boot finds: no process of ours runs, and it is another boot than the journal's."""
        self.systemctl("stop", *UNITS)
        self.systemctl("reset-failed", *UNITS)
        path = self.root / "var/lib/fleet-agent/node/journal.json"
        path.write_text(json.dumps({**self.journal(), "boot": "an earlier boot"}))

    def state(self) -> dict[str, str]:
        """Everything that a deploy may change: files with content and mode, links, units."""
        found: dict[str, str] = {}
        for top in ("opt/fleet-agent/releases", "opt/fleet-agent/current", "home", "etc/systemd"):
            for path in [self.root / top, *sorted((self.root / top).rglob("*"))]:
                name = str(path.relative_to(self.root))
                if path.is_symlink():
                    found[name] = f"link {os.readlink(path)}"
                elif path.is_file() and "__pycache__" not in name:
                    mode = oct(path.stat().st_mode & 0o7777)
                    found[name] = f"{mode} {path.read_bytes()!r}"
        for unit in UNITS:
            shown = self.systemctl("show", "--property=ActiveState,UnitFileState", unit)
            found[unit] = shown.replace("\n", " ")
        return found


@contextmanager
def a_node(place: Path) -> Iterator[World]:
    """A node under a supervisor of its own, which ends with the block."""
    root = place / "n"
    root.mkdir()
    (root / "etc/systemd/system").mkdir(parents=True)
    (root / "etc/fleet-agent").mkdir()
    (root / "etc/fleet-agent/testing").touch()
    (root / "home" / WIZARD).mkdir(parents=True)
    argv = [sys.executable, "-m", "fleet_agent.setup.supervisor"]
    with open(place / "supervisor.log", "wb") as log:
        process = proc.start([*argv, "--root", str(root), "--tied", "run"], out=log, err=log)
    try:
        _await(root)
        yield World(root, free_port())
    finally:
        process.terminate()
        process.wait(UP_S)
        proc.end(process)


def _await(root: Path) -> None:
    limit = time.monotonic() + UP_S
    while True:
        try:
            call.connect(str(root)).close()
        except OSError:
            assert time.monotonic() < limit, "the supervisor did not come up"
            time.sleep(0.02)
        else:
            return


def parcel(
    *,
    epochs: tuple[int, ...] = (1,),
    tokens: tuple[Mapping[str, str], ...] = (),
    secrets: Mapping[str, bytes] | None = None,
    tls: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What phase keys brings: this wizard's pair with bezalel, and what else is said."""
    pairs = pairkeys.pairs_of(MASTER, "fleet", epochs, WIZARD, [WIZARD, "bezalel"])
    brought = [
        {"place": place, "content": b64encode(content).decode()}
        for place, content in (secrets or {}).items()
    ]
    mine = {"pairs": pairkeys.as_text(pairs), "tokens": list(tokens), "secrets": brought}
    if tls is not None:
        mine["tls"] = dict(tls)
    return {"v": 1, "epochs": list(epochs), "wizards": {WIZARD: mine}}


@dataclass
class Run:
    """One deploy of one release on a node; each phase is a process of its own."""

    world: World
    deploy: int
    release: Built | None
    kill_at: str = ""
    check: bool = False
    limits: Mapping[str, float] = field(default_factory=dict)
    nonce: str = field(default_factory=lambda: secrets.token_hex(8))
    have: frozenset[str] = frozenset()
    keys: Mapping[str, Any] = field(default_factory=parcel)

    def spec(self, mode: str, pack_bytes: int, parcel_bytes: int = 0) -> bytes:
        line: dict[str, Any] = {
            "v": 1, "fleet": "fleet", "deploy": self.deploy, "nonce": self.nonce, "mode": mode,
            "check": self.check, "node": "127.0.0.1", "commit": "c" * 40, "now": time.time(),
            "holder": "a test", "limits": {**LIMITS, **self.limits}, "layout": self.world.layout,
            "pack_bytes": pack_bytes, "parcel_bytes": parcel_bytes,
        }  # fmt: skip
        if mode == "forward" and self.release is not None:
            line["manifest"] = to_json(self.release.manifest)
        if self.kill_at:
            line["testing"] = {"kill_at": self.kill_at}
        return json.dumps(line).encode() + b"\n"

    def phase(self, name: str, mode: str = "forward") -> dict[str, Any]:
        """Run one phase and return its result; ``{}`` when it was killed."""
        packed = b""
        if mode == "forward" and self.release is not None and (name == "deploy" or self.check):
            packed = pack(self.release.tree, self.have)
        keys = b""
        if mode == "forward" and name == "keys":
            keys = json.dumps(self.keys).encode()
        stdin = self.spec(mode, len(packed), len(keys)) + packed + keys
        world = self.world
        words = (self.nonce, name, world.layout, {**LIMITS, **self.limits})
        argv = command.phase(world.code_of_node.sha256, *words, mode=mode)
        if self.check or not os.path.exists(argv[3]):
            argv = command.load_and_run(*words, mode=mode)
            stdin = (
                command.loader_header(
                    world.code_of_node.data, world.code_of_node.sha256, install=not self.check
                )
                + stdin
            )
        done = subprocess.run(argv, input=stdin, capture_output=True, check=False, timeout=60)
        if done.returncode == -9:
            return {}
        assert done.stdout, done.stderr.decode()
        result = dict(json.loads(done.stdout))
        if name == "preflight" and mode == "forward" and result["ok"] and not self.check:
            self.have = frozenset(result["evidence"]["have"])
        return result

    def go(self, mode: str = "forward") -> dict[str, Any]:
        """All phases up to the first that fails; the last result."""
        result: dict[str, Any] = {}
        for phase in Phase:
            result = self.phase(phase, mode)
            if not result.get("ok"):
                break
        return result

    def confirm(self) -> dict[str, Any]:
        world = self.world
        argv = command.confirm(world.code_of_node.sha256, world.layout)
        stdin = self.spec("back", 0)
        done = subprocess.run(argv, input=stdin, capture_output=True, check=False, timeout=60)
        return dict(json.loads(done.stdout))

    def alone(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What the node runs by itself: ``recover`` or ``expire NONCE``."""
        world = self.world
        code = world.root / f"opt/fleet-agent/node/{world.code_of_node.sha256}.pyz"
        argv = [sys.executable, "-I", "-S", str(code), *words, "--root", str(world.root)]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
