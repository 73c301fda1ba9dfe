"""Which address a machine's name leads to: asked once, at init, and written down for a person.

A gateway binds an address, and a name may lead elsewhere tomorrow or on another machine.
"""

from __future__ import annotations

import socket
from dataclasses import replace

from fleet_agent.errors import ConfigError
from fleet_agent.registry.rules import is_address, is_loopback
from fleet_agent.setup.target import Target


def located(target: Target) -> Target:
    """``target`` with its address, where its host is a name.

    Raises ConfigError when the name leads nowhere, or to this machine's loopback only (as Debian
    has a machine's own name in /etc/hosts).
    """
    if is_address(target.host):
        return target
    try:
        answers = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise _unknown(target, f"leads to no address: {error.strerror or error}") from error
    found = [str(answer[4][0]) for answer in answers]
    for address in found:
        if is_address(address) and not is_loopback(address):
            return replace(target, address=address)
    raise _unknown(target, f"leads only to {', '.join(found)}, which others don't reach")


def _unknown(target: Target, what: str) -> ConfigError:
    return ConfigError(
        what, where=target.host, mend=f"name the machine by its address: {target.user}@ADDRESS"
    )
