"""Listening sockets, bound and ready for ``Server.add_listener``.

Not for sockets that systemd hands over: those come bound.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from typing import Final

from fleet_agent.errors import ConfigError, TryAgain

# The standard library's is 5: a burst of a few hundred connections would wait for retransmission.
BACKLOG: Final = 1024


def listen_tcp(address: str, port: int) -> socket.socket:
    """A listening socket on a literal IPv4 or IPv6 address; port 0 takes a free one.

    Raises ConfigError for an address that is none or not this machine's, TryAgain when the port
    is taken. Names are not resolved.
    """
    where = f"{address} port {port}"
    try:
        family, *_, place = socket.getaddrinfo(
            address.removeprefix("[").removesuffix("]"), port,
            type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_PASSIVE,
        )[0]  # fmt: skip
    except OSError as error:
        raise ConfigError("not a literal IPv4 or IPv6 address", where=where) from error
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(place)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise _cannot(error, where) from error
    return made


def listen_unix(path: str, mode: int = 0o660) -> socket.socket:
    """A listening Unix socket at ``path``; one left behind there is replaced, a file is not.

    Raises ConfigError when the place cannot be used.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.path.lexists(path) and stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
        # Nobody may connect before the mode is right, so the mode comes before listen.
        made.bind(path)
        os.chmod(path, mode)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise _cannot(error, path) from error
    return made


def _cannot(error: OSError, where: str) -> ConfigError | TryAgain:
    if error.errno == errno.EADDRINUSE:
        return TryAgain("another process listens there", where=where,
                        mend="name it with: ss -ltnp")  # fmt: skip
    return ConfigError(f"cannot listen: {error.strerror or error}", where=where,
                       mend="is it an address of this machine?")  # fmt: skip
