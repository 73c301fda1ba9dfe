"""A fleet in the lab: an operator with a fleet-ops repository, a forge, and three machines.

Everything goes the way an operator goes: init, bootstrap, a moved tag; what comes of it is looked
at on the nodes.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from fleet_agent.setup import wheelhouse

from . import content
from .checkout import Checkout
from .content import Edit, Files, Registry
from .gitserver import GitServer, Repository
from .lab import Lab
from .look import Look, look
from .node import Node
from .shell import Completed, LabError, wait_until
from .tree import CACHE

ROOT = Path(__file__).parents[2]
HOOK_PORT = 9876
BOOTSTRAP_LIMIT_S = 400.0
DEPLOY_LIMIT_S = 240.0
ENDED = ("verified", "rolled_back", "failed", "superseded")
# Where fleet-deploy keeps its files on the orchestrator.
DEPLOY_STATE = "var/lib/fleet-deploy"
# Asks a machine's Python what it is, as wheels see it.
ABOUT_PYTHON = """
import json, platform, sys
libc = platform.libc_ver()
print(json.dumps({"python": list(sys.version_info[:3]), "implementation": sys.implementation.name,
                  "machine": platform.machine(), "glibc": list(libc)}))
"""
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Pushed:
    """A push: its commit, the newest deploy before it, and when it was (Unix seconds)."""

    commit: str
    after: int
    at: float


@dataclass(frozen=True)
class Deployed:
    """A deploy of the history. `from_push_s` runs from before the push to the end of the deploy."""

    id: int
    state: str
    commit: str
    reason: str
    result: Mapping[str, Any]
    raw: Mapping[str, Any] = field(repr=False)
    from_push_s: float | None = None

    @property
    def cause(self) -> Mapping[str, Any]:
        """What failed first; empty where nothing did."""
        return self.result.get("cause") or {}

    def __str__(self) -> str:
        return json.dumps(self.raw, indent=1)


class Fleet:
    """The fleet of one lab. The lab takes the machines away, and the fleet with them."""

    def __init__(
        self,
        lab: Lab,
        git: GitServer,
        timings: list[tuple[str, float]] | None = None,
        name: str = "fleet-ops",
        outside: Collection[str] = (),
    ) -> None:
        self.lab = lab
        self.git = git
        self.name = name
        self.secret = ""
        self.timings = [] if timings is None else timings
        # Machines of the lab that are none of the fleet.
        self.outside = outside
        # What the operator's environment has besides.
        self.surroundings: dict[str, str] = {}
        self.repository: Repository = git.create(name)
        self.home = lab.place / "git" / f"operator-of-{name}"
        self.home.mkdir()
        self.checkout = Checkout(git, self.home / name)

    # The operator's side

    @property
    def orchestrator(self) -> Node:
        """The node that carries ezra."""
        return self.lab["n1"]

    @property
    def machines(self) -> list[Node]:
        """The nodes of the fleet."""
        return [node for node in self.lab.nodes if node.name not in self.outside]

    def agent(
        self, *words: str, check: bool = True, timeout_s: float = 60.0, stdin: str = ""
    ) -> Completed:
        """Run fleet-agent as the operator, in the checkout where there is one."""
        argv = [sys.executable, "-m", "fleet_agent", *words]
        return self.operator(argv, check=check, timeout_s=timeout_s, stdin=stdin)

    def operator(
        self,
        argv: list[str],
        more: Mapping[str, str] | None = None,
        *,
        check: bool = True,
        timeout_s: float = 60.0,
        stdin: str = "",
    ) -> Completed:
        """Run a program as the operator; `more` is its environment besides the usual one."""
        cwd = self.checkout.path if self.checkout.path.exists() else None
        env = {**self.environment, **(more or {})}
        return self.lab.operator(
            argv, env=env, cwd=cwd, check=check, timeout_s=timeout_s, stdin=stdin
        )

    def operator_argv(self, *words: str) -> list[str]:
        """The command line of `agent`, for your own Popen with `environment`."""
        return self.lab.operator_argv([sys.executable, "-m", "fleet_agent", *words])

    @property
    def environment(self) -> dict[str, str]:
        """What the operator's environment says besides this process's own."""
        return {
            "HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "GIT_SSH_COMMAND": self.git.ssh_command,
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "XDG_CACHE_HOME": str(CACHE),
            **self.surroundings,
        }

    def init(self, registry: Registry | None = None, files: dict[str, bytes] | None = None) -> None:
        """Make the repository with `fleet-agent init`, fill it, and push it to the forge."""
        machines = [f"root@{content.host_of(node)}" for node in self.machines]
        self.agent("init", str(self.checkout.path), *machines)
        self.checkout.adopt(self.repository)
        self.checkout.registry = content.registry(self.lab) if registry is None else registry
        self.checkout.registry["deploy"].setdefault("repository", self.repository.url)
        self.checkout.base |= content.files() if files is None else files
        self.checkout.commit()
        self.checkout.was_verified()
        self.checkout.push()

    def bootstrap(self, *more: str, check: bool = True, ansible_core: str = "") -> Completed:
        """Run `fleet-agent bootstrap` from the operator's side."""
        self._fetch_wheels(wheelhouse.requirements_of(ansible_core))
        argv = ["bootstrap", "--identity", str(self.orchestrator.key.private), "--yes", *more]
        argv += ["--ansible-core", ansible_core] if ansible_core else []
        done = self.agent(*argv, check=check, timeout_s=BOOTSTRAP_LIMIT_S)
        if (self.checkout.path / "known_hosts").exists():
            self.checkout.keep("known_hosts")
        return done

    def _fetch_wheels(self, wanted: tuple[str, ...]) -> None:
        """Let the product fetch what the orchestrator needs, where a package index is reached.

        The operator's side of the lab reaches none; bootstrap finds this in the operator's cache.
        """
        asked = self.orchestrator.inside(["/usr/bin/python3", "-I", "-S", "-c", ABOUT_PYTHON])
        cache = Path(self.environment["XDG_CACHE_HOME"], "fleet-agent", "wheels")
        own = ("fleet_agent-0-py3-none-any.whl", b"")
        interpreter = wheelhouse.interpreter_of(json.loads(asked.stdout))
        wheelhouse.gather(interpreter, own, cache, wanted)

    def found(self) -> Completed:
        """Bootstrap bare machines, and fill what it shows into the forge's two forms."""
        done = self.bootstrap()
        key = re.search(r"^ *Content +(ssh-ed25519 \S+)", done.stdout, re.MULTILINE)
        secret = re.search(r"^ *Secret +([0-9a-f]{64})$", done.stdout, re.MULTILINE)
        if key is None or secret is None:
            raise LabError(f"bootstrap showed no deploy key or no secret:\n{done.stdout}")
        self.git.add_key(key[1], "read", self.repository)
        self.secret = secret[1]
        self.wire()
        return done

    def wire(self, **unruly: Any) -> None:
        """What the operator fills into the forge's form: the webhook."""
        url = f"http://{self.orchestrator.address}:{HOOK_PORT}/"
        self.repository.webhook(url, self.secret, **unruly)

    # Deploys

    def push(
        self, files: Files | None = None, edit: Edit | None = None, *, label: str = ""
    ) -> Deployed:
        """Commit a change, move the tag, push, and wait for the end of the deploy of it."""
        return self.ended(self.start(files, edit), label)

    def start(self, files: Files | None = None, edit: Edit | None = None) -> Pushed:
        """Commit a change, move the tag and push; how it ends tells `ended`."""
        commit = self.checkout.commit(files, edit)
        before, at = self.newest(), time.time()
        self.checkout.move_tag()
        return Pushed(commit, before, at)

    def ended(self, pushed: Pushed, label: str = "") -> Deployed:
        """The deploy of a push once it has ended; later commits begin from it when it is good."""
        record = self.deploy(self.number(pushed), pushed.at)
        if record.state == "verified":
            self.checkout.was_verified()
        if label and record.from_push_s is not None:
            self.timings.append((f"{label}: {record.state}", record.from_push_s))
        return record

    def number(self, pushed: Pushed) -> int:
        """The number of the deploy that a push caused, once there is one."""
        return self.number_after(pushed.after)

    def number_after(self, before: int) -> int:
        """The number of the first deploy after number `before`, once there is one."""

        def find() -> int | None:
            return min((one["id"] for one in self.deploys() if one["id"] > before), default=None)

        return _asked(find, f"a deploy after number {before}")

    def deploy(self, number: int, pushed_at: float | None = None) -> Deployed:
        """A deploy of the history, once it has ended."""

        def find() -> Mapping[str, Any] | None:
            told = self.show(number)
            return told if told["state"] in ENDED else None

        raw = _asked(find, f"the end of deploy {number}")
        seconds = None if pushed_at is None else round(raw["ended_at"] - pushed_at, 2)
        keys = ("id", "state", "commit", "reason", "result")
        return Deployed(**{key: raw[key] for key in keys}, raw=raw, from_push_s=seconds)

    def show(self, number: int) -> Mapping[str, Any]:
        """A deploy as `fleet-agent deploys show` tells it, ended or not."""
        told = json.loads(self.on("deploys", "show", str(number), "--json").stdout)
        found: Mapping[str, Any] = told.get("deploy", told)
        return found

    def deploys(self) -> list[Mapping[str, Any]]:
        """The history, newest first."""
        told = json.loads(self.on("deploys", "--json").stdout)
        found: list[Mapping[str, Any]] = told["deploys"] if isinstance(told, dict) else told
        return found

    def newest(self) -> int:
        """The number of the newest deploy, 0 where there is none."""
        return max((one["id"] for one in self.deploys()), default=0)

    def on(
        self, *words: str, check: bool = True, node: Node | None = None, timeout_s: float = 60.0
    ) -> Completed:
        """Run fleet-agent as root on a node, on the orchestrator where none is named."""
        where = node or self.orchestrator
        return where.inside(["fleet-agent", *words], check=check, timeout_s=timeout_s)

    # Looking

    @property
    def nodes(self) -> dict[str, Node]:
        """Wizard → node, as the registry in force has it."""
        by_host = {node.address: node for node in self.lab.nodes}
        by_host |= {node.address_v6: node for node in self.lab.nodes}
        wizards = self.checkout.registry["wizards"]
        return {name: by_host[entry["host"]] for name, entry in wizards.items()}

    def look(self, node: Node | str) -> Look:
        """What is really on a node."""
        at = self.lab[node] if isinstance(node, str) else node
        wizards = [name for name, where in self.nodes.items() if where is at]
        return look(at, [place for name in wizards for place in content.places_of(name)])

    def looks(self) -> dict[str, Look]:
        """What is on every node that is on, by the node's name."""
        return {node.name: self.look(node) for node in self.machines if node.up}

    def health(self, wizard: str) -> dict[str, Any]:
        """A wizard's health as the operator's side sees it over the network."""
        ask = ["curl", "-gsS", "--max-time", "5", *self.believing(), f"{self.url(wizard)}/health"]
        answer: dict[str, Any] = json.loads(self.lab.operator(ask).stdout)
        return answer

    def url(self, wizard: str) -> str:
        """Where a wizard's gateway answers, as the registry that was verified last says."""
        entry = self.checkout.registry["wizards"][wizard]
        host, port = entry["host"], (entry.get("listen") or {}).get("port", 8646)
        scheme = "https" if self.checkout.registry.get("tls") else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    def believing(self) -> list[str]:
        """What curl needs to believe the fleet, where it speaks TLS."""
        if not self.checkout.registry.get("tls"):
            return []
        place = "etc/fleet-agent/ezra/keys/tls-ca.pem"
        return ["--cacert", str(self.nodes["ezra"].root / place)]

    def agent_says(self, wizard: str) -> dict[str, Any]:
        """What the running stand-in of a wizard said that it had read."""
        node = self.nodes[wizard]
        pid = node.pid(content.unit_of(wizard))
        told = node.inside(["journalctl", "--no-pager", "-o", "cat", f"_PID={pid}"]).stdout
        lines = [line for line in told.splitlines() if line.startswith("stand-in: {")]
        if not lines:
            raise LabError(f"{wizard}'s agent (pid {pid}) said nothing:\n{told}")
        said: dict[str, Any] = json.loads(lines[-1].removeprefix("stand-in: "))
        return said

    @property
    def runs(self) -> Path:
        """What deploys left on the orchestrator, as this machine sees it."""
        return self.orchestrator.root / DEPLOY_STATE / "runs"

    def events(self, number: int) -> list[dict[str, Any]]:
        """Ansible's events of a deploy so far, forward and back."""
        found = []
        for name in ("events.jsonl", "back-events.jsonl"):
            path = self.runs / str(number) / name
            lines = path.read_text().splitlines() if path.exists() else []
            found += [json.loads(line) for line in lines if line.endswith("}")]
        return found

    def told(self) -> Iterator[tuple[str, str]]:
        """What whoever looks at a failure needs: title and text, of deploys and nodes."""
        numbers = (
            sorted(int(path.name) for path in self.runs.iterdir()) if self.runs.exists() else []
        )
        for number in numbers[-1:]:
            for name in ("notes.jsonl", "events.jsonl", "back-events.jsonl", "ansible.log"):
                path = self.runs / str(number) / name
                if path.exists():
                    yield f"deploy {number}: {name}", _tail(path.read_text(errors="replace"))
        units = [f"--unit={pattern}" for pattern in ("fleet-*", "stand-in*")]
        argv = ["journalctl", "--no-pager", "-o", "short-precise", "-n", "40", *units]
        for node in self.lab.nodes:
            if node.up:
                yield f"fleet-agent on {node.name}", node.inside(argv, check=False).stdout


def until(ready: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
    """Wait for something that another machine does by itself."""
    wait_until(ready, timeout_s=timeout_s, what=what, every_s=0.02)


def _asked(find: Callable[[], _Found | None], what: str) -> _Found:
    """Ask until there is an answer; a service that is starting is asked again."""
    deadline = time.monotonic() + DEPLOY_LIMIT_S
    last = "no answer yet"
    while time.monotonic() < deadline:
        try:
            if (found := find()) is not None:
                return found
        except LabError as error:
            last = str(error)
        time.sleep(0.15)
    raise LabError(f"{what}: not within {DEPLOY_LIMIT_S:g} s\n{last}")


def _tail(text: str, lines: int = 40, characters: int = 6000) -> str:
    return "\n".join(text.splitlines()[-lines:])[-characters:]
