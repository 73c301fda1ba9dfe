"""A machine as a person names it on the command line: ``root@192.0.2.10:2222``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fleet_agent.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Target:
    """Where to log in first. ``host`` is a name or address, IPv6 without brackets.

    ``address`` is where a name led (``setup.located``); empty where nobody asked, or for none.
    """

    host: str
    user: str = "root"
    port: int = 22
    address: str = ""


def parse_target(text: str) -> Target:
    """Read ``[user@]host[:port]``; IPv6 as ``[2001:db8::1]:22`` or bare without a port.

    Raises ConfigError for anything else. A host never begins with a dash: ssh would take it for
    an option.
    """
    user, at, rest = text.rpartition("@")
    port = "22"
    if found := re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::(\d+))?", rest):
        host, port = found[1], found[2] or port
    elif rest.count(":") == 1:
        host, port = rest.split(":")
    else:
        host = rest
    if at and not re.fullmatch(r"[a-z_][a-z0-9_.-]{0,31}", user):
        raise ConfigError(f"{user!r} is no name of a user", where=text)
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:]+", host):
        raise ConfigError(
            f"{host!r} is no host", where=text, mend="write it as root@192.0.2.10 or root@name:2222"
        )
    if not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ConfigError(f"{port!r} is no port", where=text)
    return Target(host, user or "root", int(port))
