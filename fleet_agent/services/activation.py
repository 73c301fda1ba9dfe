"""Listening sockets that systemd hands over (sd_listen_fds(3)), by their names.

Not for making sockets (``httpd.listen``).
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping, Sequence
from typing import Final

from fleet_agent.errors import ConfigError

_FIRST: Final = 3
_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def take_sockets(environment: MutableMapping[str, str]) -> list[tuple[str, socket.socket]]:
    """The sockets handed to this process, each with its FileDescriptorName; once.

    The variables are taken out of ``environment``, so that no child believes them. Raises
    ConfigError for what is no listening stream socket.
    """
    pid, count, names = (environment.pop(name, "") for name in _VARIABLES)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    labels = names.split(":") if names else []
    found = []
    for number in range(int(count)):
        label = labels[number] if number < len(labels) else ""
        found.append((label, _listening(_FIRST + number, label)))
    return found


def hand_on(
    environment: MutableMapping[str, str], handed: Sequence[tuple[str, socket.socket]]
) -> None:
    """Undo ``take_sockets``: the program that this process becomes may take ``handed`` again."""
    if not handed:
        return
    names = ":".join(label for label, _ in handed)
    environment.update(
        dict(zip(_VARIABLES, (str(os.getpid()), str(len(handed)), names), strict=True))
    )
    for _, listening in handed:
        os.set_inheritable(listening.fileno(), True)


def _listening(fd: int, label: str) -> socket.socket:
    where = f"descriptor {fd} ({label or 'without a name'})"
    os.set_inheritable(fd, False)
    try:
        made = socket.socket(fileno=fd)
    except OSError as error:
        raise ConfigError("systemd handed over something that is no socket", where=where) from error
    if not made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise ConfigError(
            "systemd handed over a socket that does not listen",
            where=where,
            mend="the socket unit needs Accept=no and ListenStream=",
        )
    return made
