"""How this operator logs in where, remembered in the checkout's own Git settings (never committed).

So ``status`` and ``promote`` need no options after a bootstrap that needed some.
"""

from __future__ import annotations

from dataclasses import replace

from fleet_agent.setup.git import WorkTree
from fleet_agent.setup.machines import Access

_SECTION = "fleet-agent"


def recall(tree: WorkTree) -> Access:
    """What was remembered; the defaults where nothing was, or where there is no repository."""
    if not tree.exists:
        return Access({})
    said = tree.git("config", "--local", "--null", "--get-regexp", rf"^{_SECTION}\.", check=False)
    users: dict[str, str] = {}
    identity, options = "", []
    for entry in said.out.decode("utf-8", "replace").split("\0"):
        key, _, value = entry.partition("\n")
        _, _, rest = key.partition(".")
        host, _, name = rest.rpartition(".")
        if name == "user":
            users[host] = value
        elif name == "identity":
            identity = value
        elif name == "sshoption":
            options.append(value)
    return Access(users, identity, tuple(options))


def remember(tree: WorkTree, access: Access) -> bool:
    """Keep users, key and options for the next time; whether anything is new."""
    before = recall(tree)
    now = (dict(access.users), access.identity, access.options)
    if (dict(before.users), before.identity, before.options) == now:
        return False
    for host, user in access.users.items():
        _set(tree, f"{_SECTION}.{host}.user" if host else f"{_SECTION}.user", user)
    if access.identity:
        _set(tree, f"{_SECTION}.identity", access.identity)
    tree.git("config", "--local", "--unset-all", f"{_SECTION}.sshOption", check=False)
    for option in access.options:
        tree.git("config", "--local", "--add", f"{_SECTION}.sshOption", option)
    return True


def merged(before: Access, said: Access) -> Access:
    """What is said now, before what was remembered."""
    return replace(
        said,
        users={**before.users, **said.users},
        identity=said.identity or before.identity,
        options=said.options or before.options,
    )


def _set(tree: WorkTree, key: str, value: str) -> None:
    tree.git("config", "--local", "--replace-all", key, value)
