"""The step of bootstrap in which a person sees the host keys once, and they are pinned."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from fleet_agent.errors import ConfigError, NodeError
from fleet_agent.setup import hostkeys, sshconfig
from fleet_agent.setup.account import Account
from fleet_agent.setup.git import WorkTree
from fleet_agent.setup.login import Login
from fleet_agent.setup.machines import Machine, foreign_jumps
from fleet_agent.setup.target import Target, parse_target


def logins_to_pin(fleet: Sequence[Machine], repository: str) -> tuple[Login, ...]:
    """Every machine that the orchestrator will speak ssh to: nodes, jump hosts, the forge."""
    logins = [machine.login for machine in fleet]
    plain = replace(logins[0], proxy_jump="")
    for hop in foreign_jumps(fleet):
        target = parse_target(hop)
        name = f"jump host {target.host}"
        logins.append(
            replace(plain, name=name, host=target.host, port=target.port, user=target.user)
        )
    forge = forge_of(repository)
    if forge is not None:
        logins.append(
            replace(plain, name=f"forge {forge.host}", host=forge.host, port=forge.port, user="git")
        )
    return tuple(logins)


def forge_of(repository: str) -> Target | None:
    """Where ``repository`` lies if it is reached over ssh: ``ssh://…`` or ``user@host:path``."""
    if repository.startswith("ssh://"):
        parts = urlsplit(repository)
        if not parts.hostname:
            return None
        return Target(parts.hostname, parts.username or "git", parts.port or 22)
    if "://" in repository or ":" not in repository or repository.startswith(("/", ".")):
        return None
    where = repository.split(":", 1)[0]
    return parse_target(where if "@" in where else f"git@{where}")


def pin_host_keys(
    tree: WorkTree,
    logins: Sequence[Login],
    account: Account,
    agree: Callable[[str], bool],
    seconds: float,
) -> str:
    """Ask all machines for their host keys, have new ones confirmed, and commit them.

    Returns the text of known_hosts. Raises NodeError for machines that do not answer,
    HostKeyChanged for one that shows another key than its pin, ConfigError where nobody agrees.
    """
    path = tree.path / hostkeys.FILE
    text = path.read_text("utf-8") if path.exists() else ""
    pinned = hostkeys.parse(text)
    seen = _ask_in_rounds(logins, pinned, seconds)
    fresh = hostkeys.new_keys(pinned, seen.values())
    by_label = {login.name: login for login in logins}
    known = [name for name, key in seen.items() if key not in fresh]
    if not fresh:
        account.add("host keys are the pinned ones", (), known)
        return text
    account.say("Host keys that nobody has confirmed yet (ssh-keygen -lf on the machine shows it):")
    for name, key in seen.items():
        if key in fresh:
            account.say(f"    {by_label[name].name:<28}  {key.kind}  {key.fingerprint}")
    if not agree("Are these the keys of your machines?"):
        raise ConfigError(
            "the host keys were not confirmed, so nothing was done",
            mend="compare the fingerprints on the machines' consoles, then answer yes (or --yes)",
        )
    text = hostkeys.text_of([*pinned, *fresh])
    path.write_text(text, "utf-8")
    tree.commit([hostkeys.FILE], f"Pin the host keys of {len(fresh)} machines")
    account.add("host keys pinned in known_hosts, committed", [*(_labels(seen, fresh))], known)
    return text


def _ask_in_rounds(
    logins: Sequence[Login], pinned: Sequence[hostkeys.HostKey], seconds: float
) -> dict[str, hostkeys.HostKey]:
    """The keys of all, those behind a jump last: the jump's own key must be known by then.

    It need not be confirmed yet: nothing is sent through but the question for the next key.
    """
    seen: dict[str, hostkeys.HostKey] = {}
    for behind in (False, True):
        wanted = [login for login in logins if bool(login.proxy_jump) is behind]
        with tempfile.TemporaryDirectory(prefix="fleet-agent-jumps-") as directory:
            known = Path(directory, hostkeys.FILE)
            known.write_text(hostkeys.text_of([*pinned, *seen.values()]), "utf-8")
            config = Path(directory, "config")
            config.write_text(sshconfig.text(logins[0].identity, str(known)), "utf-8")
            asked = [replace(login, config=str(config)) for login in wanted]
            found, failures = hostkeys.ask_all(asked, seconds)
        if failures:
            raise _together(failures)
        seen |= found
    return {login.name: seen[login.name] for login in logins}


def _labels(seen: dict[str, hostkeys.HostKey], fresh: Sequence[hostkeys.HostKey]) -> list[str]:
    return [name for name, key in seen.items() if key in fresh]


def _together(failures: Sequence[NodeError]) -> NodeError:
    if len(failures) == 1:
        return failures[0]
    said = "; ".join(f"{failure.where}: {failure.what}" for failure in failures)
    return NodeError(
        f"{len(failures)} machines do not answer: {said}",
        mend="are they on, and reachable from here? (--ssh-option ProxyJump=… for a way round)",
    )
