"""The sockets of a daemon: systemd's where it hands them over, else bound here.

Not for what is served on them.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import MutableMapping
from typing import Final, NamedTuple

from fleet_agent.errors import TryAgain
from fleet_agent.httpd.listen import listen_tcp, listen_unix
from fleet_agent.services.activation import take_sockets
from fleet_agent.services.settings import Settings
from fleet_agent.wire import SOCKET_GATEWAY, SOCKET_HOOK

AGENT_SOCKET: Final = "agent.sock"
EXEC_SOCKET: Final = "exec.sock"  # the runner's, beside it
_LOOPBACK: Final = "127.0.0.1"
_ON_LOOPBACK: Final = (_LOOPBACK, "0.0.0.0")

log = logging.getLogger("fleet_agent.services")


class Listening(NamedTuple):
    """The listening sockets by what they are for, and the path of a Unix socket made here."""

    gateway: tuple[socket.socket, ...]
    hook: tuple[socket.socket, ...]
    own_path: str | None


def open_listeners(settings: Settings, environment: MutableMapping[str, str]) -> Listening:
    """The sockets of the wizard, handed over or bound.

    Raises ConfigError and TryAgain (``httpd.listen``) when one can't be had.
    """
    handed: dict[str, list[socket.socket]] = {SOCKET_GATEWAY: [], SOCKET_HOOK: []}
    for name, sock in take_sockets(environment):
        if name in handed:
            handed[name].append(sock)
        else:
            log.warning("%s: a socket named %r is not for me; closed", settings.wizard, name)
            sock.close()
    gateway, hook, path = handed[SOCKET_GATEWAY], handed[SOCKET_HOOK], None
    if not gateway:
        gateway, path = _gateway(settings)
    if not hook and settings.hook is not None:
        hook = [listen_tcp(settings.hook.address, settings.hook.port)]
    return Listening(tuple(gateway), tuple(hook), path)


def shown(sock: socket.socket, *, tls: bool = False) -> str:
    """Where a socket listens, as people write it."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return str(name)
    host, port = name[:2]
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _gateway(settings: Settings) -> tuple[list[socket.socket], str]:
    """The three of the wire: the listen address, loopback, the local agent's Unix socket.

    TCP comes first: a second daemon of the same wizard fails there, before it takes the path.
    """
    made = [listen_tcp(settings.address, settings.port)]
    if settings.address not in _ON_LOOPBACK:
        try:
            made.append(listen_tcp(_LOOPBACK, made[0].getsockname()[1]))
        except TryAgain as error:
            # Another wizard of this machine may have the same port on another address.
            log.warning("%s: not on loopback: %s", settings.wizard, error)
    os.makedirs(settings.run_dir, mode=0o755, exist_ok=True)
    path = os.path.join(settings.run_dir, AGENT_SOCKET)
    made.append(listen_unix(path, 0o660))
    return made, path
