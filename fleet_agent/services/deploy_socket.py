"""fleet-deploy's socket: one JSON line in, JSON lines out, a thread a client.

A client that neither sends nor reads is dropped; no client waits for another. What the lines
mean is not known here (``deploy_words``).
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from fleet_agent.deploy import protocol
from fleet_agent.errors import FleetError, RequestError, TryAgain
from fleet_agent.limits import Limits
from fleet_agent.services.deploy_rights import Caller, caller_of
from fleet_agent.store.errors import StoreBroken

_log = logging.getLogger("fleet_agent.deploy")

Greet = Callable[[Caller], None]
Answer = Callable[[Caller, protocol.Line], Iterable[protocol.Line]]

_BACKLOG: Final = 512
_PAUSE_SECONDS: Final = 0.1
_LAST_ANSWERS_SECONDS: Final = 2.0


def listen(path: str) -> socket.socket:
    """A listening socket at ``path`` that everyone may connect to (callers are looked at).

    What a dead process left there is replaced. Raises TryAgain when a living one listens.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            pass  # nobody listens there
        else:
            raise TryAgain("another fleet-deploy listens already", where=path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.lexists(path):
        os.unlink(path)
    made = socket.socket(socket.AF_UNIX)
    made.bind(path)
    os.chmod(path, 0o666)  # noqa: S103 (authorization is by the caller's uid and groups)
    made.listen(_BACKLOG)
    return made


class SocketServer:
    """Serves ``listening`` in threads until ``stop``.

    ``greet`` raises for callers that are refused before they take a place. ``broken`` is called
    when the store is: no answer of this process can be believed then.
    """

    def __init__(
        self,
        listening: socket.socket,
        greet: Greet,
        answer: Answer,
        broken: Callable[[StoreBroken], None],
        limits: Limits,
    ) -> None:
        self._listening = listening
        self._greet = greet
        self._answer = answer
        self._broken = broken
        self._seconds = limits["deploy_socket_seconds"]
        self._line_bytes = limits.whole("deploy_socket_line_bytes")
        self._places = _Places(limits.whole("deploy_socket_clients"))
        self._stopped = threading.Event()
        self._waked, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._accept, name="deploy-socket", daemon=True)
        self._unanswered: set[socket.socket] = set()
        self._all_answered = threading.Condition()

    def start(self) -> None:
        """Begin to accept."""
        self._listening.setblocking(False)
        self._thread.start()

    def stop(self) -> None:
        """Accept no more, and let whoever was accepted get a first answer.

        The socket itself may be systemd's and stays: who connects now waits for the next process.
        """
        self._stopped.set()
        self._wake.send(b"!")
        self._thread.join()
        with self._all_answered:
            self._all_answered.wait_for(lambda: not self._unanswered, _LAST_ANSWERS_SECONDS)

    def _accept(self) -> None:
        while not self._stopped.is_set():
            select.select([self._listening, self._waked], [], [])
            if self._stopped.is_set():
                return
            try:
                connection, _ = self._listening.accept()
            except BlockingIOError:
                continue
            except OSError as error:
                _log.error("fleet-deploy's socket: accept failed: %s", error)
                self._stopped.wait(_PAUSE_SECONDS)
                continue
            self._welcome(connection)

    def _welcome(self, connection: socket.socket) -> None:
        """Give a new client a thread, if it may speak and there is a place."""
        connection.settimeout(self._seconds)
        with self._all_answered:
            self._unanswered.add(connection)
        try:
            caller = caller_of(connection)
            self._greet(caller)
            if not self._places.take(caller.uid):
                raise TryAgain("too many clients speak to fleet-deploy", mend="try again")
        except FleetError as error:
            with connection:
                self._say(connection, error)
            self._answered(connection)
            return
        except OSError as error:
            connection.close()
            self._answered(connection)
            _log.warning("fleet-deploy's socket: a caller could not be looked at: %s", error)
            return
        try:
            threading.Thread(
                target=self._serve, args=(connection, caller), name="deploy-client", daemon=True
            ).start()
        except RuntimeError as error:  # no more threads: one client goes away, the others stay
            self._places.give_back(caller.uid)
            connection.close()
            _log.error("fleet-deploy's socket: %s", error)

    def _serve(self, connection: socket.socket, caller: Caller) -> None:
        try:
            with connection:
                self._converse(connection, caller)
        finally:
            self._answered(connection)
            self._places.give_back(caller.uid)

    def _answered(self, connection: socket.socket) -> None:
        """Note that this client has heard something, or is gone."""
        with self._all_answered:
            self._unanswered.discard(connection)
            self._all_answered.notify_all()

    def _converse(self, connection: socket.socket, caller: Caller) -> None:
        try:
            line = self._read_line(connection)
            if line is None:
                return
            for answer in self._answer(caller, protocol.decode(line)):
                connection.sendall(protocol.encode(answer))
                self._answered(connection)
        except StoreBroken as error:
            self._say(connection, error)
            self._broken(error)
        except FleetError as error:
            self._say(connection, error)
        except TimeoutError:
            self._say(connection, RequestError("sent no whole line in time", status=408))
        except OSError:
            return  # the client went away
        except Exception:  # noqa: BLE001 (one question must not end the service)
            _log.exception("fleet-deploy's socket: a question failed by a mistake in fleet-agent")
            self._say(connection, FleetError("failed by a mistake in fleet-agent, see its log"))

    def _read_line(self, connection: socket.socket) -> bytes | None:
        """The first line. Raises TimeoutError when it is not whole in time, however it comes."""
        deadline = time.monotonic() + self._seconds
        data = b""
        while b"\n" not in data:
            if len(data) > self._line_bytes:
                raise RequestError(f"a line may have {self._line_bytes} bytes", status=413)
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            more = connection.recv(65536)
            if not more:
                if data:
                    raise RequestError("the line does not end")
                return None
            data += more
        connection.settimeout(self._seconds)
        return data.partition(b"\n")[0]

    @staticmethod
    def _say(connection: socket.socket, error: FleetError) -> None:
        try:
            connection.sendall(protocol.encode(protocol.refusal(error)))
        except OSError:
            return  # the client went away


class _Places:
    """Who speaks now: ``most`` in all, half of them at most of one account.

    Else a thief with the hook's account could take them all, and keep operators out. Root and the
    service itself may have them all.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[int] = Counter()
        self._lock = threading.Lock()

    def take(self, uid: int) -> bool:
        """Take a place for ``uid``; False when there is none."""
        most = self._most if uid in (0, os.geteuid()) else self._most // 2
        with self._lock:
            if self._taken.total() >= self._most or self._taken[uid] >= most:
                return False
            self._taken[uid] += 1
            return True

    def give_back(self, uid: int) -> None:
        """Free a place of ``uid``."""
        with self._lock:
            self._taken[uid] -= 1
            if not self._taken[uid]:
                del self._taken[uid]
