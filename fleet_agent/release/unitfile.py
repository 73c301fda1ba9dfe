"""Text of the drop-ins that a release writes beside our unit files. Pure.

Whatever comes from a registry is checked or escaped here: nobody can add a line to a unit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from fleet_agent.errors import ConfigError

_ACCOUNT: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}", re.ASCII)
_PLAIN_PATH: Final = re.compile(r"(/[A-Za-z0-9_.@+=,~-]+)+", re.ASCII)
_WILDCARDS: Final = ("0.0.0.0", "::")
LOOPBACK: Final = "127.0.0.1"
_ROOTED: Final = (
    "/opt/fleet-agent",
    "/etc/fleet-agent",
    "/var/lib/fleet-agent",
    "/run/fleet-agent",
)


def stream(address: str, port: int) -> str:
    """``address:port`` as ListenStream= takes it, an IPv6 address in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def is_address(text: str) -> bool:
    """Whether ``text`` is an IPv4 or IPv6 address, which a socket unit can be bound to."""
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def listens_on_loopback(address: str) -> bool:
    """Whether a socket on ``address`` answers on 127.0.0.1 already."""
    return address == LOOPBACK or address in _WILDCARDS


def socket_conf(streams: Sequence[str], group: str | None = None) -> str:
    """A socket unit's drop-in: where it listens, and which group may use its path."""
    # The empty one drops what our unit file says for want of a drop-in.
    lines = ["[Socket]", "ListenStream=", *(f"ListenStream={one}" for one in streams)]
    if group is not None:
        lines.append(f"SocketGroup={account(group)}")
    return "\n".join(lines) + "\n"


def command_conf(user: str, command: Sequence[str]) -> str:
    """A service's drop-in: as whom it runs, and what."""
    return f"[Service]\nUser={account(user)}\nExecStart=\nExecStart={exec_line(command)}\n"


def user_conf(user: str) -> str:
    """A service's drop-in: as whom it runs."""
    return f"[Service]\nUser={account(user)}\n"


def groups_conf(groups: Sequence[str]) -> str:
    """A service's drop-in: which groups it is in besides its own."""
    return f"[Service]\nSupplementaryGroups={' '.join(account(group) for group in groups)}\n"


def view_conf(place: str, view: str) -> str | None:
    """A service's drop-in: the folder of ``place`` is seen at ``view``, read-only, and the file
    itself at ``view``.file.

    The folder, since of a file that is replaced the view would stay the old one; the file, since
    the folder may be closed to the daemon. Neither is missed where it is absent. None for a path
    in which systemd would read something else.
    """
    folder = place.rpartition("/")[0]
    if not _PLAIN_PATH.fullmatch(folder) or not _PLAIN_PATH.fullmatch(place):
        return None
    return f"[Service]\nBindReadOnlyPaths=-{folder}:{view} -{place}:{view}.file\n"


def exec_line(command: Sequence[str]) -> str:
    """``command`` as ExecStart= takes it, each word passed on as it is.

    Raises ConfigError for an empty command and for a word with a NUL in it.
    """
    if not command or not command[0]:
        raise ConfigError("names no program", where="runtime.command")
    # The colon takes variable substitution away, so that a dollar is only a dollar.
    return ":" + " ".join(_quoted(word) for word in command)


def _quoted(word: str) -> str:
    if "\0" in word:
        raise ConfigError("a word holds a NUL", where="runtime.command")
    return '"' + "".join(_escaped(char) for char in word) + '"'


def _escaped(char: str) -> str:
    if char in '\\"':
        return "\\" + char
    if char == "%":
        return "%%"
    if char < " " or char == "\x7f":
        return f"\\x{ord(char):02x}"
    return char


def account(name: str) -> str:
    """``name`` if it can be an account's name; ConfigError if not."""
    if not _ACCOUNT.fullmatch(name):
        raise ConfigError("is no name of an account", where=repr(name))
    return name


def rooted(text: str, root: str) -> str:
    """``text`` with our own directories below ``root``: for nodes that are folders."""
    if root == "/":
        return text
    for directory in _ROOTED:
        text = re.sub(rf"(?<![\w/]){re.escape(directory)}(?=[/\s]|$)", root + directory, text)
    return text
