"""Takes bare machines to a running fleet: each step looks first, and changes only what differs.

The order of steps and what passes between them; what a step does on a machine is ``remote/``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from fleet_agent.errors import FleetError, NodeError
from fleet_agent.setup import ground, hostkeys, judge, wheelhouse
from fleet_agent.setup.account import Account
from fleet_agent.setup.ground import Ground
from fleet_agent.setup.login import Login, call, jump_hosts
from fleet_agent.setup.machines import (
    Access,
    Machine,
    foreign_jumps,
    jump_users,
    key_options,
    machines,
    orchestrator_of,
    parse_hop,
)
from fleet_agent.setup.pinning import logins_to_pin, pin_host_keys
from fleet_agent.setup.remote.host import MARK
from fleet_agent.setup.repository import name_repository

SHORT_SECONDS: Final = 60.0
LONG_SECONDS: Final = 900.0
SLOW_SUDO_SECONDS: Final = 1.0
_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for. ``agree`` puts a question to a person; ``cache`` is for ``wheels``,
    the requirements of the orchestrator's environment."""

    directory: Path
    access: Access
    repository: str
    agree: Callable[[str], bool]
    cache: Path
    wheels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """Machines on which a first deploy can run, and what the operator has to tell the forge.

    ``secret`` is the webhook's where this run made it, else ""; it is shown once.
    """

    ground: Ground
    fleet: tuple[Machine, ...]
    git_key: str
    secret: str
    notes: tuple[str, ...]


def bootstrap(wishes: Wishes, account: Account) -> Ready:
    """Bring every machine of the registry so far that ``fleet-deploy`` can deploy to all of them.

    Raises ConfigError for what is wrong in the repository, NodeError for what is wrong with
    machines; both before anything is changed, as far as that can be seen before.
    """
    basis = ground.read(wishes.directory)
    if wishes.repository:
        done = name_repository(basis.tree, basis.registry, wishes.repository)
        account.add("repository named in fleet.yaml", *_one("fleet.yaml", changed=done))
        basis = ground.read(wishes.directory)
    known_hosts = str((wishes.directory / hostkeys.FILE).resolve())
    fleet = machines(basis.registry, replace(wishes.access, known_hosts=known_hosts))
    repository = basis.registry.deploy.repository or ""
    pins = pin_host_keys(
        basis.tree, logins_to_pin(fleet, repository), account, wishes.agree, SHORT_SECONDS
    )
    basis = basis.now()
    facts = _look(fleet, account)
    first = orchestrator_of(fleet)
    keys = call(
        first.login,
        "orchestrator",
        {"known_hosts": pins, "jumps": _unnamed_jumpers(fleet)},
        seconds=SHORT_SECONDS,
    )
    account.add_answers({first.label: keys["steps"]})
    _prepare_hosts(fleet, keys["key"], account)
    _environment(first, facts[first.host], basis, wishes, account)
    notes = _try_ways(first, fleet, keys["key"], account)
    served = call(
        first.login,
        "service",
        {
            "repository": repository,
            "tag": basis.registry.deploy.tag,
            "branch": basis.registry.deploy.branch,
        },
        seconds=SHORT_SECONDS,
    )
    account.add_answers({first.label: served["steps"]})
    _bring_commit(first.login, basis, first.label, account)
    return Ready(basis, fleet, keys["git_key"], served["secret"], notes)


def _look(fleet: Sequence[Machine], account: Account) -> Mapping[str, Mapping[str, Any]]:
    """The facts of each machine by host. Raises NodeError with all that is in the way anywhere."""
    facts = on_all(
        fleet,
        lambda machine: call(
            machine.login, "look", {"orchestrator": machine.orchestrator}, seconds=SHORT_SECONDS
        ),
    )
    found = [
        f"{machine.login.name} {sentence}"
        for machine in fleet
        for sentence in judge.obstacles(facts[machine.host], orchestrator=machine.orchestrator)
    ]
    if found:
        raise NodeError("; ".join(found), mend="mend this, then run bootstrap again")
    kinds: dict[str, list[str]] = {}
    for machine in fleet:
        kinds.setdefault(judge.summary(facts[machine.host]), []).append(machine.label)
    for kind, labels in kinds.items():
        account.add(f"{kind}: {', '.join(labels)}", (), labels)
    return facts


def _prepare_hosts(fleet: Sequence[Machine], key: str, account: Account) -> None:
    answers = on_all(
        fleet,
        lambda machine: call(
            machine.login,
            "host",
            {
                "user": machine.deploy_user,
                "key": key,
                "options": key_options(machine, fleet),
                "jumpers": jump_users(machine, fleet),
            },
            seconds=SHORT_SECONDS,
        ),
    )
    account.add_answers({machine.label: answers[machine.host]["steps"] for machine in fleet})


def _unnamed_jumpers(fleet: Sequence[Machine]) -> dict[str, str]:
    """For each node that others are reached through: as whom, where the hop does not say."""
    hops = jump_hosts([machine.login.proxy_jump for machine in fleet])
    unnamed = {host for user, host in map(parse_hop, hops) if not user}
    return {m.login.host: m.deploy_user for m in fleet if m.login.host in unnamed}


def _environment(
    first: Machine, facts: Mapping[str, Any], basis: Ground, wishes: Wishes, account: Account
) -> None:
    """Give the orchestrator ansible-core and the pinned fleet-agent; sent only if they differ."""
    own = (Path(basis.pin.wheel).name, basis.wheel)
    interpreter = wheelhouse.interpreter_of(facts)
    house = wheelhouse.gather(interpreter, own, wishes.cache, wishes.wheels)
    given = {"digest": house.digest, "requirements": house.requirements}
    answer = call(first.login, "venv", {**given, "send": False}, seconds=SHORT_SECONDS)
    if not answer["there"]:
        answer = call(
            first.login,
            "venv",
            {**given, "send": True},
            payload=house.tar(),
            seconds=LONG_SECONDS,
        )
    account.add_answers({first.label: answer["steps"]})


def _try_ways(
    first: Machine, fleet: Sequence[Machine], key: str, account: Account
) -> tuple[str, ...]:
    """Let the orchestrator try what deploys do. Raises NodeError for nodes it can't deploy to."""
    ways = {machine.host: deploy_way(machine) for machine in fleet}
    seconds = SHORT_SECONDS / 2
    given = {"ways": ways, "seconds": seconds}
    reached = call(first.login, "reach", given, seconds=2 * SHORT_SECONDS)["reached"]
    lost = [
        f"{m.login.name}: {reached[m.host]['said']}" for m in fleet if not reached[m.host]["ok"]
    ]
    if lost:
        jumps = foreign_jumps(fleet)
        raise NodeError(
            f"the orchestrator can't deploy to {'; '.join(lost)}",
            where=first.login.name,
            mend=f"let this key in at {' and '.join(jumps)}: {key} {MARK}"
            if jumps
            else "is the way from the orchestrator to the node open (firewall, sshd's AllowUsers)?",
        )
    account.add("orchestrator reaches every node, and may sudo", (), [m.label for m in fleet])
    return tuple(
        f"{machine.login.name}: sudo takes {reached[machine.host]['sudo_seconds']:.1f} s; each "
        "phase waits for it (a name service that does not answer?)"
        for machine in fleet
        if reached[machine.host]["sudo_seconds"] > SLOW_SUDO_SECONDS
    )


def deploy_way(machine: Machine) -> list[str]:
    """The argv with which the orchestrator logs in on ``machine``, up to the command.

    Key, pins and the rest come from its ~/.ssh/config, which jumps read too.
    """
    login = Login(
        name=machine.login.name,
        host=machine.login.host,
        user=machine.deploy_user,
        port=machine.login.port,
        proxy_jump=machine.login.proxy_jump,
    )
    return login.argv()


def _bring_commit(login: Login, basis: Ground, label: str, account: Account) -> None:
    given = {"commit": basis.commit}
    answer = call(login, "mirror", {**given, "send": False}, seconds=SHORT_SECONDS)
    if not answer["there"]:
        bundle = basis.tree.bundle_of_head()
        answer = call(
            login, "mirror", {**given, "send": True}, payload=bundle, seconds=LONG_SECONDS
        )
    account.add_answers({label: answer["steps"]})


def on_all(
    fleet: Sequence[Machine], act: Callable[[Machine], dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Do ``act`` for all machines at once; the answers by host.

    Raises NodeError: the only failure, or all of them together.
    """

    def one(machine: Machine) -> dict[str, Any] | FleetError:
        try:
            return act(machine)
        except FleetError as error:
            error.where = error.where or machine.login.name
            return error

    with ThreadPoolExecutor(min(_AT_ONCE, len(fleet))) as pool:
        answers = dict(zip((machine.host for machine in fleet), pool.map(one, fleet), strict=True))
    failures = [answer for answer in answers.values() if isinstance(answer, FleetError)]
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise NodeError(
            "; ".join(f"{failure.where}: {failure.what}" for failure in failures),
            mend="; ".join(dict.fromkeys(failure.mend for failure in failures if failure.mend)),
        )
    return {host: answer for host, answer in answers.items() if isinstance(answer, dict)}


def _one(label: str, *, changed: bool) -> tuple[list[str], list[str]]:
    return ([label], []) if changed else ([], [label])
