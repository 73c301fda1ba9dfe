"""A socket unit: its listening sockets, held over restarts of the service that they belong to."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import time
from collections.abc import Callable
from typing import Final

from fleet_agent.errors import ConfigError
from fleet_agent.setup.supervisor.place import Place
from fleet_agent.setup.supervisor.unitfile import Unit

_BACKLOG: Final = 4096
_ADDRESS: Final = re.compile(r"(?:(?P<host>[0-9.]+)|\[(?P<six>[0-9a-fA-F:.]+)\]):(?P<port>\d+)")


class Listening:
    """One socket unit. ``activate`` is called when a connection waits and no service runs."""

    def __init__(self, unit: Unit, place: Place, activate: Callable[[], None]) -> None:
        self.unit = unit
        self.sub = "dead"
        self.result = "success"
        self.changed_at = 0.0
        self._place = place
        self._activate = activate
        self._sockets: list[socket.socket] = []
        self._watched = False

    @property
    def active(self) -> str:
        """systemd's ActiveState."""
        return {"dead": "inactive", "failed": "failed"}.get(self.sub, "active")

    @property
    def service(self) -> str:
        """The service that gets the sockets."""
        own = os.path.splitext(self.unit.name)[0] + ".service"
        return self.unit.last("Socket", "Service", own)

    @property
    def descriptors(self) -> list[tuple[int, str]]:
        """The listening descriptors with their name."""
        name = self.unit.last("Socket", "FileDescriptorName", self.unit.name)
        return [(each.fileno(), name) for each in self._sockets]

    def listen(self) -> None:
        """Bind and listen. ConfigError for an address that can't be, OSError for one in use."""
        if self._sockets:
            return
        try:
            for value in self.unit.all("Socket", "ListenStream"):
                self._sockets.append(self._bound(self._place.moved(value)))
        except OSError:
            self.close()
            self._move("failed", "resources")
            raise
        self._move("listening", "success")

    def _bound(self, address: str) -> socket.socket:
        if address.startswith("/"):
            os.makedirs(os.path.dirname(address), exist_ok=True)
            if os.path.exists(address):
                os.unlink(address)
            made = socket.socket(socket.AF_UNIX)
            made.bind(address)
            os.chmod(address, int(self.unit.last("Socket", "SocketMode", "0666"), 8))
        else:
            found = _ADDRESS.fullmatch(address)
            if found is None:
                raise ConfigError(f"is no address: {address!r}", where=self.unit.name)
            made = socket.socket(socket.AF_INET6 if found["six"] else socket.AF_INET)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if found["six"]:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind((found["six"] or found["host"], int(found["port"])))
        made.listen(_BACKLOG)
        return made

    def watch(self, wanted: bool) -> None:
        """Whether a waiting connection starts the service (while it runs, it does not)."""
        if wanted == self._watched:
            return
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            if wanted:
                loop.add_reader(each, self._activate)
            else:
                loop.remove_reader(each)
        self._watched = wanted
        if self._sockets:
            self._move("listening" if wanted else "running", "success")

    def close(self) -> None:
        """Stop listening."""
        self.watch(False)
        for each in self._sockets:
            each.close()
        self._sockets.clear()
        for value in self.unit.all("Socket", "ListenStream"):
            path = self._place.moved(value)
            if path.startswith("/") and os.path.exists(path):
                os.unlink(path)
        self._move("dead", "success")

    def _move(self, sub: str, result: str) -> None:
        self.sub, self.result, self.changed_at = sub, result, time.time()
