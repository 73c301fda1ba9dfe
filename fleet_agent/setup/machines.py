"""The registry's nodes as bootstrap, promote and status reach them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleet_agent.deploy.plan import DEPLOY_USER
from fleet_agent.errors import ConfigError
from fleet_agent.registry.schema import Registry, Ssh
from fleet_agent.setup.login import Login, jump_hosts
from fleet_agent.setup.target import parse_target
from fleet_agent.wire import Role


@dataclass(frozen=True, slots=True)
class Machine:
    """A node: how the operator logs in (``login``), and as whom deploys do (``deploy_user``)."""

    host: str
    wizards: tuple[str, ...]
    orchestrator: bool
    login: Login
    deploy_user: str
    ssh: Ssh

    @property
    def label(self) -> str:
        """What a person calls it: its wizards."""
        return "+".join(self.wizards)


@dataclass(frozen=True, slots=True)
class Access:
    """How the operator gets in. ``users`` are by host, "" is for all others."""

    users: Mapping[str, str]
    identity: str = ""
    options: tuple[str, ...] = ()
    known_hosts: str = ""
    connect_seconds: int = 10
    default_user: str = "root"
    config: str = ""

    def user(self, host: str) -> str:
        """Whom to log in as on ``host``; "" leaves it to ssh's own configuration."""
        return self.users.get(host) or self.users.get("") or self.default_user


def machines(registry: Registry, access: Access) -> tuple[Machine, ...]:
    """All nodes in the order of the registry."""
    made = []
    for host, wizards in registry.nodes.items():
        ssh = wizards[0].ssh
        label = "+".join(wizard.name for wizard in wizards)
        login = Login(
            name=f"{label} ({host})",
            host=host.strip("[]"),
            user=access.user(host.strip("[]")) or ssh.user or "",
            port=ssh.port,
            proxy_jump=ssh.proxy_jump or "",
            identity=access.identity,
            known_hosts=access.known_hosts,
            options=access.options,
            connect_seconds=access.connect_seconds,
            config=access.config,
        )
        made.append(
            Machine(
                host=host,
                wizards=tuple(wizard.name for wizard in wizards),
                orchestrator=any(wizard.role == Role.ORCHESTRATOR for wizard in wizards),
                login=login,
                deploy_user=ssh.user or DEPLOY_USER,
                ssh=ssh,
            )
        )
    return tuple(made)


def orchestrator_of(fleet: Sequence[Machine]) -> Machine:
    """The machine that carries the orchestrator (a checked registry has exactly one)."""
    return next(machine for machine in fleet if machine.orchestrator)


def key_options(machine: Machine, fleet: Sequence[Machine]) -> str:
    """What the orchestrator's key may do on ``machine``: run commands, and forward nothing.

    A machine that others are reached through may forward to exactly those.
    """
    behind = [
        f'permitopen="{_bracketed(other.login.host)}:{other.login.port}"'
        for other in fleet
        if any(
            parse_hop(hop)[1] == machine.login.host for hop in jump_hosts([other.login.proxy_jump])
        )
    ]
    return ",".join(["restrict", "port-forwarding", *behind] if behind else ["restrict"])


def jump_users(machine: Machine, fleet: Sequence[Machine]) -> tuple[str, ...]:
    """The users, other than the deploy user, as whom others are reached through ``machine``."""
    hops = (parse_hop(hop) for hop in jump_hosts([other.login.proxy_jump for other in fleet]))
    users = (user for user, host in hops if host == machine.login.host and user)
    return tuple(dict.fromkeys(user for user in users if user != machine.deploy_user))


def parse_hop(hop: str) -> tuple[str, str]:
    """User ("" where none is named) and host of a hop of ProxyJump."""
    target = parse_target(hop)
    return (target.user if "@" in hop else "", target.host)


def foreign_jumps(fleet: Sequence[Machine]) -> tuple[str, ...]:
    """Jump hosts that are no nodes: the orchestrator's key must get in there too."""
    hosts = {machine.login.host for machine in fleet}
    hops = jump_hosts([machine.login.proxy_jump for machine in fleet])
    return tuple(hop for hop in hops if parse_target(hop).host not in hosts)


def parse_users(texts: Sequence[str]) -> dict[str, str]:
    """``--user`` values: ``NAME`` for all machines, ``HOST=NAME`` for one. Raises ConfigError."""
    users = {}
    for text in texts:
        host, _, name = text.rpartition("=")
        checked = parse_target(f"{name}@{host or 'host'}")
        if not name:
            raise ConfigError(f"{text!r} names no user", where="--user", mend="NAME or HOST=NAME")
        users[checked.host if host else ""] = checked.user
    return users


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
