"""One supervisor process for one node's folder: a Unix socket in, readiness messages in."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import struct
import uuid
from collections.abc import Sequence
from typing import Final

from fleet_agent.errors import TryAgain
from fleet_agent.setup.supervisor import call
from fleet_agent.setup.supervisor.house import House
from fleet_agent.setup.supervisor.journal import Journal
from fleet_agent.setup.supervisor.place import Place
from fleet_agent.setup.supervisor.service import Service
from fleet_agent.setup.supervisor.systemctl import Answer, journalctl, systemctl

_log: Final = logging.getLogger("fleet_agent.setup")
_LINE_BYTES: Final = 1 << 20
_MESSAGE_BYTES: Final = 4096
_CREDENTIALS: Final = struct.Struct("3i")
_PASSED_ON: Final = ("HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ")
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Server:
    """Answers for one folder until it is told to end."""

    def __init__(self, root: str, env: dict[str, str]) -> None:
        """``env`` is given to every unit's processes. TryAgain when a supervisor runs there."""
        self._root = os.path.realpath(root)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        address = f"@fleet-agent-demo-{uuid.uuid4().hex}"
        self._notify.bind(address.replace("@", "\0", 1))
        self._notify.setblocking(False)
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        place = Place(self._root, address, {"PATH": _PATH, **passed, **env})
        self.house = House(place, Journal(os.path.join(self._root, "var/log/journal")))
        self._listener = self._listen()
        self._ended = asyncio.Event()

    def _listen(self) -> socket.socket:
        path = os.path.join(self._root, call.SOCKET)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            call.connect(self._root).close()
        except OSError:
            if os.path.exists(path):
                os.unlink(path)
        else:
            raise TryAgain("a supervisor runs for this folder already", where=self._root)
        listener = socket.socket(socket.AF_UNIX)
        folder = os.open(os.path.dirname(path), os.O_PATH)
        try:
            listener.bind(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
        finally:
            os.close(folder)
        os.chmod(path, 0o600)
        listener.listen(128)
        listener.setblocking(False)
        return listener

    async def serve(self) -> None:
        """Boot the node, answer until SIGTERM or SIGINT, shut it down."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ended.set)
        loop.add_reader(self._notify, self._notified)
        loop.add_reader(self._listener, self._accept)
        self.house.later(self.house.boot())
        await self._ended.wait()
        loop.remove_reader(self._listener)
        await self.house.shut_down()
        self._listener.close()
        os.unlink(os.path.join(self._root, call.SOCKET))

    def _notified(self) -> None:
        """Take a message of sd_notify(3): from the main process of one of our services only."""
        space = socket.CMSG_SPACE(_CREDENTIALS.size)
        data, ancillary, _, _ = self._notify.recvmsg(_MESSAGE_BYTES, space)
        pid = next(
            (
                _CREDENTIALS.unpack(part[: _CREDENTIALS.size])[0]
                for level, kind, part in ancillary
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS
            ),
            0,
        )
        pairs = (line.partition("=") for line in data.decode("utf-8", "replace").splitlines())
        words = {name: value for name, equals, value in pairs if equals}
        for member in self.house.members.values():
            if isinstance(member, Service) and pid and member.run.pid == pid:
                member.notified(words)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        self.house.later(self._talk(connection))

    async def _talk(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        line = b""
        try:
            while not line.endswith(b"\n"):
                part = await loop.sock_recv(connection, _LINE_BYTES)
                if not part or len(line) > _LINE_BYTES:
                    return
                line += part
            answer = await self._answer(json.loads(line)["words"])
            text = json.dumps({"code": answer.code, "out": answer.out, "err": answer.err})
            await loop.sock_sendall(connection, text.encode())
        except OSError as error:
            _log.info("%s: a caller went away: %s", self._root, error)
        finally:
            connection.close()

    async def _answer(self, words: Sequence[str]) -> Answer:
        program, *rest = words
        if program == "systemctl":
            return await systemctl(self.house, rest)
        if program == "journalctl":
            return journalctl(self.house, rest)
        return Answer(2, err=f"{program}: not known to the demo's supervisor\n")
