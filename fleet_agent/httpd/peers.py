"""Who connected, and whether one more connection of theirs is allowed. Only counts."""

from __future__ import annotations

import socket
import struct
from typing import Any, Final

from fleet_agent.httpd.types import Peer
from fleet_agent.limits import Limits

_CREDENTIALS: Final = struct.Struct("3i")


def peer_of(connected: socket.socket, address: Any) -> Peer:
    """The peer of an accepted socket; of a Unix socket the user, as the kernel knows it."""
    if connected.family == socket.AF_UNIX:
        raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _gid = _CREDENTIALS.unpack(raw)
        return Peer("unix", "", 0, uid, pid)
    host, port = address[:2]
    return Peer("tcp", host.removeprefix("::ffff:"), port)


def who(peer: Peer) -> str:
    """The peer in a log line."""
    return f"uid {peer.uid} (pid {peer.pid})" if peer.kind == "unix" else peer.address


class Admission:
    """Counts open connections, in all and a peer. One peer is a user on a Unix socket, an IPv4
    address, or an IPv6 network of 64 bits (one machine may have all addresses of it).

    ``total`` is of TCP alone: strangers who fill it keep neither the local agent nor a deploy,
    which asks for health over the Unix socket, away from the daemon.
    """

    def __init__(self, limits: Limits, most: int | None = None) -> None:
        """``most``: fewer in all than ``http_connections``, where there is room for less."""
        self._most = limits.whole("http_connections") if most is None else most
        self._most_per_peer = limits.whole("http_connections_per_peer")
        self._open: dict[str, int] = {}
        self.total = 0

    def refuse(self, peer: Peer) -> str | None:
        """Why another connection of ``peer`` is too many; None when it is not."""
        if self._open.get(_key(peer), 0) >= self._most_per_peer:
            return "this peer has too many connections open"
        if peer.kind == "tcp" and self.total >= self._most:
            return "too many connections are open"
        return None

    def enter(self, peer: Peer) -> None:
        """Count one more."""
        key = _key(peer)
        self._open[key] = self._open.get(key, 0) + 1
        self.total += peer.kind == "tcp"

    def leave(self, peer: Peer) -> None:
        """Count one less."""
        key = _key(peer)
        self.total -= peer.kind == "tcp"
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]


def _key(peer: Peer) -> str:
    if peer.kind == "unix":
        return f"uid {peer.uid}"
    if ":" in peer.address:
        packed = socket.inet_pton(socket.AF_INET6, peer.address.partition("%")[0])
        return packed[:8].hex()
    return peer.address
