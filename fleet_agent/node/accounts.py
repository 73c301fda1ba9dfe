"""Accounts and groups that a release needs: looked up, and made where they are absent.

They stay over a rollback: what they own would else belong to nobody.
"""

from __future__ import annotations

import grp
import pwd
from typing import Final, NamedTuple

from fleet_agent import proc
from fleet_agent.errors import NodeError
from fleet_agent.release.manifest import Manifest

FLEET_GROUP: Final = "fleet-agent"
HOOK_GROUP: Final = "fleet-hook"
_SECONDS: Final = 30.0
_NOLOGIN: Final = "/usr/sbin/nologin"


class Account(NamedTuple):
    """An account to be. ``home`` is empty where none is made, ``groups`` are further ones."""

    name: str
    home: str
    groups: tuple[str, ...] = ()


def gid_of(group: str) -> int | None:
    """The number of the group that goes with an account: its namesake, else its main one."""
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        pass
    try:
        return pwd.getpwnam(group).pw_gid
    except KeyError:
        return None


def uid_of(user: str) -> int | None:
    """The number of an account, None where there is none."""
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def needed(manifest: Manifest) -> tuple[Account, ...]:
    """The accounts of a release: for each wizard the daemon's, and its own user's."""
    found: dict[str, Account] = {}
    for wizard in manifest.wizards:
        found.setdefault(wizard.user, Account(wizard.user, f"/home/{wizard.user}"))
        found.setdefault(wizard.account, Account(wizard.account, ""))
    return tuple(found.values())


def missing(manifest: Manifest) -> tuple[str, ...]:
    """The accounts and groups of a release that are not there."""
    names = [account.name for account in needed(manifest) if not _has_user(account.name)]
    groups = [*_groups(manifest), *(wizard.user for wizard in manifest.wizards)]
    names += [
        f"group {group}"
        for group in dict.fromkeys(groups)
        if not _has_group(group) and group not in names
    ]
    return tuple(names)


def make(manifest: Manifest) -> tuple[str, ...]:
    """Make what is missing and return the names, as people read them. Raises NodeError."""
    made: list[str] = []
    for group in _groups(manifest):
        if not _has_group(group):
            _run(["groupadd", "--system", group])
            made.append(f"group {group}")
    for account in needed(manifest):
        if not _has_user(account.name):
            _run(_useradd(account))
            made.append(account.name)
    for user in dict.fromkeys(wizard.user for wizard in manifest.wizards):
        if not _has_group(user):
            # An account from before us, with another main group: the sockets need its namesake.
            _run(["groupadd", "--system", user])
            _run(["usermod", "--append", "--groups", user, user])
            made.append(f"group {user}")
    return tuple(made)


def _groups(manifest: Manifest) -> tuple[str, ...]:
    """The groups that no account brings along."""
    return (FLEET_GROUP, HOOK_GROUP) if manifest.orchestrator else (FLEET_GROUP,)


def _useradd(account: Account) -> list[str]:
    home = ["--create-home", "--home-dir", account.home] if account.home else ["--no-create-home"]
    if not account.home:
        home += ["--home-dir", "/nonexistent"]
    group = ["--gid", account.name] if _has_group(account.name) else ["--user-group"]
    return ["useradd", "--system", "--shell", _NOLOGIN, *home, *group, account.name]


def _run(argv: list[str]) -> None:
    done = proc.run(argv, timeout_seconds=_SECONDS, check=False)
    if done.code != 0:
        raise NodeError(f"{argv[0]}: {done.complaint}", where=f"account {argv[-1]}")


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _has_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True
