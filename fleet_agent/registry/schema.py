"""The registry as values: what a checked fleet.yaml says, with every default filled in.

Named tuples, not dataclasses: ten thousand are made at a daemon's start, and importing
``dataclasses`` alone takes longer than that start may (docs/architecture.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from fleet_agent.errors import RequestError
from fleet_agent.limits import TABLE
from fleet_agent.wire import GATEWAY_PORT, HOOK_PORT, Role

DEFAULT_FLEET: Final = "fleet"
DEFAULT_TAG: Final = "PROD"
DEFAULT_BRANCH: Final = "main"
DEFAULT_MODE: Final = 0o640
SSH_PORT: Final = 22

# What fleet.yaml may say, in the order in which etc/fleet.yaml shows it.
TOP_KEYS: Final = ("fleet", "wizards", "settings", "deploy", "unsigned", "tls")
WIZARD_KEYS: Final = (
    "host", "role", "region", "model", "health_endpoint", "listen", "capabilities", "subscriptions",
    "user", "soul", "files", "state", "runtime", "handlers", "tools", "probes", "ssh", "settings",
    "tls",
)  # fmt: skip
DEPLOY_KEYS: Final = ("repository", "tag", "branch", "hook_port")
LISTEN_KEYS: Final = ("address", "port")
SSH_KEYS: Final = ("user", "port", "proxy_jump")
SOUL_KEYS: Final = ("file", "place")
FILE_KEYS: Final = ("source", "place", "mode", "secret")
RUNTIME_KEYS: Final = ("command", "unit", "scope")
HANDLER_KEYS: Final = ("exec", "http")
TOOL_KEYS: Final = ("exec", "cwd", "timeout", "input")
PROBE_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "model": ("openai",),
    "canary": ("ask", "expect"),
}
SCOPES: Final = ("system", "user")


class NotFound(RequestError):  # noqa: N818 (it reads as what happened)
    """A wizard that the registry doesn't have. Status 404."""

    title = "no such wizard"

    def __init__(self, what: str, *, mend: str = "") -> None:
        super().__init__(what, status=404, mend=mend)


class Listen(NamedTuple):
    """Where a wizard's gateway binds."""

    address: str
    port: int


class Ssh(NamedTuple):
    """How ssh reaches a node. ``user`` None: the deploy user; ``proxy_jump`` as ssh's ProxyJump."""

    user: str | None = None
    port: int = SSH_PORT
    proxy_jump: str | None = None


class Soul(NamedTuple):
    """A wizard's soul: a file of the fleet-ops repository, and where the agent reads it."""

    file: str
    place: str | None = None


class FileSpec(NamedTuple):
    """A file of the agent's own: a template of the repository, its place and mode on the node."""

    source: str
    place: str
    mode: int = DEFAULT_MODE
    secret: bool = False


class Runtime(NamedTuple):
    """The wizard's own process: a command for a unit of ours, or a unit of the operator's."""

    command: tuple[str, ...] | None = None
    unit: str | None = None
    scope: str = "system"


class Handler(NamedTuple):
    """Who handles messages of one type: a program, or a local URL."""

    exec: tuple[str, ...] | None = None
    http: str | None = None


class Tool(NamedTuple):
    """A tool that others may call by name. ``timeout`` in seconds, ``input`` a JSON schema."""

    exec: tuple[str, ...]
    cwd: str | None = None
    timeout: float | None = None
    input: Mapping[str, object] | None = None


class Wizard(NamedTuple):
    """One entry of the registry.

    ``settings`` are the limits of its daemon that differ from the defaults: those of all wizards,
    with its own over them. ``tls``: its gateway speaks TLS.
    """

    name: str
    host: str
    role: Role
    region: str
    model: str
    health_endpoint: str
    listen: Listen
    capabilities: tuple[str, ...]
    user: str
    soul: Soul | None = None
    files: tuple[FileSpec, ...] = ()
    state: tuple[str, ...] = ()
    runtime: Runtime | None = None
    handlers: Mapping[str, Handler] = {}
    tools: Mapping[str, Tool] = {}
    probes: Mapping[str, Mapping[str, str]] = {}
    ssh: Ssh = Ssh()
    settings: Mapping[str, float] = {}
    subscriptions: tuple[str, ...] = ()
    tls: bool = False


class DeployRules(NamedTuple):
    """Top-level ``deploy:``. ``limits`` holds what differs from the defaults, by full name."""

    repository: str | None = None
    tag: str = DEFAULT_TAG
    branch: str = DEFAULT_BRANCH
    hook_port: int = HOOK_PORT
    limits: Mapping[str, float] = {}


class Registry:
    """The fleet. Immutable; two registries that say the same are equal."""

    __slots__ = ("_by_name", "_nodes", "deploy", "fleet", "unsigned", "wizards")

    def __init__(
        self,
        fleet: str,
        wizards: tuple[Wizard, ...],
        deploy: DeployRules = DeployRules(),  # noqa: B008 (an immutable value)
        unsigned: bool = False,
    ) -> None:
        self.fleet = fleet
        self.wizards = wizards
        self.deploy = deploy
        self.unsigned = unsigned
        self._by_name = {wizard.name: wizard for wizard in wizards}
        self._nodes: dict[str, tuple[Wizard, ...]] | None = None

    def __iter__(self) -> Iterator[Wizard]:
        return iter(self.wizards)

    def __len__(self) -> int:
        return len(self.wizards)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Registry):
            return NotImplemented
        mine = (self.fleet, self.wizards, self.deploy, self.unsigned)
        return mine == (other.fleet, other.wizards, other.deploy, other.unsigned)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Registry({self.fleet!r}, {len(self.wizards)} wizards)"

    def wizard(self, name: str) -> Wizard:
        """The wizard called ``name``. Raises NotFound with the nearest name."""
        found = self._by_name.get(name)
        if found is not None:
            return found
        import difflib

        near = difflib.get_close_matches(name[:64], self._by_name, 1)
        mend = f"did you mean {near[0]!r}?" if near else ""
        raise NotFound(f"the registry has no wizard {name[:64]!r}", mend=mend)

    @property
    def orchestrator(self) -> Wizard:
        """The wizard that runs deploys. Raises NotFound where none is (never after a check)."""
        for wizard in self.wizards:
            if wizard.role is Role.ORCHESTRATOR:
                return wizard
        raise NotFound("the registry has no orchestrator")

    @property
    def nodes(self) -> Mapping[str, tuple[Wizard, ...]]:
        """Host → its wizards, both in the order of the file."""
        if self._nodes is None:
            nodes: dict[str, list[Wizard]] = {}
            for wizard in self.wizards:
                nodes.setdefault(wizard.host, []).append(wizard)
            self._nodes = {host: tuple(wizards) for host, wizards in nodes.items()}
        return self._nodes


def deploy_limit_keys() -> Mapping[str, str]:
    """The keys of ``deploy:`` that are limits, short name → name in ``limits.TABLE``."""
    return {
        limit.name.removeprefix("deploy_"): limit.name for limit in TABLE if limit.scope == "deploy"
    }


def setting_keys() -> tuple[str, ...]:
    """The keys of ``settings:``: every limit of a daemon."""
    return tuple(limit.name for limit in TABLE if limit.scope == "daemon")


def health_url(host: str, port: int = GATEWAY_PORT, *, tls: bool = False) -> str:
    """The health endpoint that a wizard has by default; IPv6 addresses get their brackets."""
    named = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{named}:{port}/health"
