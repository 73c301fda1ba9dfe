"""fleet-deploy: works the queue, one deploy at a time, and answers at its socket.

The worker is the main thread, so that SIGTERM interrupts it wherever it is: what ran is then
found at the next start and put back. Not for what a deploy does (``deploy_work``, the pipeline).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

from fleet_agent.deploy import history
from fleet_agent.deploy import rules as deploy_rules
from fleet_agent.deploy.authority import Authority
from fleet_agent.deploy.keystore import KeyStore
from fleet_agent.deploy.paths import DeployPaths
from fleet_agent.deploy.queue import Queue, open_queue
from fleet_agent.deploy.rules import Rules
from fleet_agent.deploy.source import Source
from fleet_agent.deploy.work import Execute, Recover
from fleet_agent.errors import FleetError
from fleet_agent.limits import Limits
from fleet_agent.services.changes import Changes
from fleet_agent.services.deploy_keys import KeyWords
from fleet_agent.services.deploy_rights import Rights
from fleet_agent.services.deploy_socket import SocketServer, listen
from fleet_agent.services.deploy_tls import TlsWords
from fleet_agent.services.deploy_words import Asked, Words
from fleet_agent.services.deploy_work import Worker
from fleet_agent.store.errors import StoreBroken

_log = logging.getLogger("fleet_agent.deploy")

_MIB: Final = 1024 * 1024
_IDLE_SECONDS: Final = 3600.0


class Ended(BaseException):
    """SIGTERM or SIGINT: raised in the main thread, so that started programs are ended too."""


@dataclass(frozen=True, slots=True)
class DeployService:
    """The wiring. ``stale`` says whether another release should take over at the next entry."""

    paths: DeployPaths
    execute: Execute
    recover: Recover
    stale: Callable[[], bool] = lambda: False
    read_rules: Callable[[DeployPaths], Rules] = deploy_rules.read
    rights: Rights = field(default_factory=Rights)
    more: Mapping[str, Asked] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)

    def run(self, listening: socket.socket | None, ready: Callable[[], None]) -> None:
        """Serve and work until ``stale`` or Ended. ``ready`` is called once questions are answered.

        Raises the store's errors: without its queue the service has no truth to work by.
        """
        os.makedirs(self.paths.state, mode=0o700, exist_ok=True)
        limits = self._limits()
        queue = open_queue(self.paths.database, limits.whole("deploy_keep_deliveries"))
        source = Source(self.paths)
        keys = KeyWords(self._keys(), queue, self.changes)
        tls = TlsWords(Authority(self.paths.authority), keys.place)
        words = Words(
            self.paths,
            queue,
            self.changes,
            self.rights,
            self.read_rules,
            threading.Semaphore(limits.whole("deploy_socket_clients") // 2),
            self.more,
            {**keys.answers(), **tls.answers()},
        )
        server = SocketServer(
            listening or listen(self.paths.socket),
            self.rights.greet,
            words.answer,
            _end_broken,
            limits,
        )
        worker = Worker(
            self.paths, queue, source, self.execute, self.recover, self.changes, self.read_rules
        )
        server.start()
        try:
            ready()
            self._work(queue, worker, source)
        finally:
            server.stop()

    def _work(self, queue: Queue, worker: Worker, source: Source) -> None:
        with queue.reading() as db:
            interrupted = history.running(db)
        if interrupted is not None:
            worker.resume(interrupted)
        tidied = False
        while not self.stale():
            seen = self.changes.count
            entry = queue.start()
            if entry is not None:
                self.changes.ring()
                worker.work(entry)
                tidied = False
                continue
            if not tidied:
                tidied = True
                self._tidy(worker, source)
                continue
            self.changes.wait(seen, _IDLE_SECONDS)
        _log.info("fleet-deploy: another release is current; it takes over now")

    def _tidy(self, worker: Worker, source: Source) -> None:
        try:
            limits = self._limits()
            said = limits.whole("deploy_keep_said_mib") * _MIB
            worker.prune(limits.whole("deploy_keep_runs"), said)
            source.tidy()
        except (FleetError, OSError) as error:
            _log.warning("fleet-deploy: could not tidy up: %s", error)

    def _keys(self) -> KeyStore:
        store = KeyStore(self.paths.keys)
        try:
            store.prepare()
        except (FleetError, OSError) as error:
            # Each deploy will say so; asking what happened must still work.
            _log.error("fleet-deploy: %s", error)
        return store

    def _limits(self) -> Limits:
        try:
            return self.read_rules(self.paths).limits
        except FleetError as error:
            # Each deploy will say so; asking what happened must still work.
            _log.warning("fleet-deploy: %s", error)
            return Limits()


def _end_broken(error: StoreBroken) -> None:
    """End the process from whichever thread: the next one starts from what is on disk."""
    _log.critical("fleet-deploy: %s; it ends, and starts anew from what is on disk", error)
    os.kill(os.getpid(), signal.SIGTERM)


def end_on_signals() -> None:
    """Turn SIGTERM and SIGINT into Ended, once: a second one must not cut the cleaning up."""

    def end(number: int, frame: FrameType | None) -> None:
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, signal.SIG_IGN)
        raise Ended

    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, end)
