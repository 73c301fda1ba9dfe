"""One service of a node: its life from start to stop, readiness and restarts included.

Not for finding units, their sockets and what they need (``house``), nor for processes
(``execution``).
"""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from fleet_agent.errors import FleetError
from fleet_agent.setup.supervisor import states
from fleet_agent.setup.supervisor.command import Command
from fleet_agent.setup.supervisor.execution import (
    TIMEOUT_S,
    Execution,
    Sockets,
    UnitFailedError,
    first,
)
from fleet_agent.setup.supervisor.journal import Journal
from fleet_agent.setup.supervisor.place import Place
from fleet_agent.setup.supervisor.unitfile import Unit

_RESTART_S: Final = 0.1
_LIMIT_INTERVAL_S: Final = 10.0
_LIMIT_BURST: Final = 5
_NOTIFY_TYPES: Final = frozenset({"notify", "notify-reload"})


class _Ended(Exception):  # noqa: N818 (it is an outcome)
    """The attempt is over with ``result``."""

    def __init__(self, result: str) -> None:
        super().__init__(result)
        self.result = result


class Service:
    """A service. ``ended`` is called each time that it has come to rest."""

    def __init__(
        self,
        unit: Unit,
        place: Place,
        journal: Journal,
        *,
        sockets: Sockets = list,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.unit = unit
        self.sub = states.DEAD
        self.result = states.SUCCESS
        self.invocation = ""
        self.restarts = 0
        self.status_text = ""
        self.active_since = 0.0
        self.active_since_boot = 0.0
        self.changed_at = 0.0
        self.run = Execution(place, journal, sockets)
        self._journal = journal
        self._ended = ended
        self._starts: deque[float] = deque()
        self._life: asyncio.Task[None] | None = None
        self._outcome: asyncio.Future[str] | None = None
        self._ready = asyncio.Event()
        self._stop = asyncio.Event()
        self._wake = asyncio.Event()

    # What others ask and tell

    @property
    def active(self) -> str:
        """systemd's ActiveState."""
        return states.ACTIVE_OF[self.sub]

    async def start(self) -> None:
        """Start and wait until it is ready; does nothing when it is. UnitFailedError when not."""
        while self._life is not None and self._stop.is_set():
            await asyncio.wait([self._life])
        if self.sub in {states.RUNNING, states.EXITED, states.RELOAD}:
            return
        if self._outcome is None or self._outcome.done():
            self._outcome = asyncio.get_running_loop().create_future()
        if self._life is None:
            self.restarts = 0
            self._journal.mark(self.unit.name)
            self._life = asyncio.create_task(self._live())
        else:
            self._wake.set()
        result = await asyncio.shield(self._outcome)
        if result != states.SUCCESS:
            raise UnitFailedError(
                f"Job for {self.unit.name} failed (Result={result}).",
                mend=f'See "systemctl status {self.unit.name}" and '
                f'"journalctl -u {self.unit.name}" for details.',
            )

    async def stop(self) -> None:
        """Stop and wait for the end."""
        if self._life is not None:
            self._stop.set()
            await asyncio.wait([self._life])

    async def reload(self) -> None:
        """Run its ExecReload, or SIGHUP a notify-reload one. UnitFailedError when it can't."""
        if self.sub != states.RUNNING:
            raise UnitFailedError(f"{self.unit.name} is not active, cannot reload.")
        self._move(states.RELOAD)
        try:
            if self.unit.last("Service", "Type") == "notify-reload":
                self._ready.clear()
                self.run.running.kill(signal.SIGHUP, group=False)
                await first(self._ready.wait(), self._stop.wait(), timeout=self._start_limit)
            elif not await self.run.control(self.unit, "ExecReload"):
                raise UnitFailedError(f"Job for {self.unit.name} failed: ExecReload ended badly.")
        finally:
            if self.sub == states.RELOAD:
                self._move(states.RUNNING)

    def notified(self, words: Mapping[str, str]) -> None:
        """Take what its main process said over the notify socket (sd_notify(3))."""
        if words.get("READY") == "1":
            self._ready.set()
        self.status_text = words.get("STATUS", self.status_text)

    def reset_failed(self) -> None:
        """Forget a failure and the starts that were counted."""
        self._starts.clear()
        self.restarts = 0
        if self.sub == states.FAILED:
            self.result = states.SUCCESS
            self._move(states.DEAD)

    # Its life

    async def _live(self) -> None:
        """Attempts until one is the last; then at rest."""
        try:
            while True:
                self.result = await self._attempt()
                policy = self.unit.last("Service", "Restart", "no")
                if self._stop.is_set() or not states.restarts(policy, self.result):
                    break
                self._move(states.AUTO_RESTART)
                self._settle(self.result)
                self._wake.clear()
                pause = self.unit.span("Service", "RestartSec", _RESTART_S)
                await first(self._stop.wait(), self._wake.wait(), timeout=pause)
                if self._stop.is_set():
                    self.result = states.SUCCESS
                    break
                self.restarts += 1
        finally:
            failed = self.result != states.SUCCESS
            self._move(states.FAILED if failed else states.DEAD)
            if failed:
                self._say(f"Failed with result '{self.result}'.")
            self._life = None
            self._stop.clear()
            self._settle(self.result)
            self._ended()

    def _settle(self, result: str) -> None:
        """Answer the start that waits, if one does."""
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_result(result)

    async def _attempt(self) -> str:
        """Start once and stay until the end; what came of it."""
        self._move(states.START)
        self._ready.clear()
        self.invocation = uuid.uuid4().hex
        try:
            self._count_start()
            self.run.prepare(self.unit, self.invocation)
            if not await self.run.control(self.unit, "ExecStartPre"):
                return states.EXIT_CODE
            commands = self.run.parsed(self.unit, "ExecStart")
            if self.unit.last("Service", "Type") == "oneshot":
                return await self._one_shot(commands)
            if len(commands) != 1:
                raise UnitFailedError("has no single ExecStart=, refusing", where=self.unit.name)
            self.run.spawn(self.unit, commands[0])
            await self._until_ready()
            self._started(states.RUNNING)
            if not await self.run.control(self.unit, "ExecStartPost"):
                await self._end()
                return states.EXIT_CODE
            limit = self.unit.span("Service", "RuntimeMaxSec", float("inf"))
            await self._until_exit(limit)
            return self.run.result(self.unit)
        except _Ended as ended:
            return ended.result
        except FleetError as error:
            self._say(str(error))
            return states.RESOURCES

    def _count_start(self) -> None:
        now = time.monotonic()
        interval = self.unit.span("Unit", "StartLimitIntervalSec", _LIMIT_INTERVAL_S)
        burst = int(self.unit.last("Unit", "StartLimitBurst", str(_LIMIT_BURST)))
        while self._starts and now - self._starts[0] > interval:
            self._starts.popleft()
        if interval > 0 and len(self._starts) >= burst:
            self._say("Start request repeated too quickly.")
            raise _Ended(states.START_LIMIT)
        self._starts.append(now)

    async def _one_shot(self, commands: list[Command]) -> str:
        limit = self.unit.span("Service", "TimeoutStartSec", float("inf"))
        for each in commands:
            self.run.spawn(self.unit, each)
            await self._until_exit(limit)
            result = self.run.result(self.unit)
            if self._stop.is_set() or (result != states.SUCCESS and not each.may_fail):
                return result
        if self.unit.last("Service", "RemainAfterExit") in {"yes", "true", "1"}:
            self._started(states.EXITED)
            await self._stop.wait()
        return states.SUCCESS

    async def _until_ready(self) -> None:
        if self.unit.last("Service", "Type") not in _NOTIFY_TYPES:
            return
        main, limit = self.run.running, self._start_limit
        way = await first(main.exited(), self._ready.wait(), self._stop.wait(), timeout=limit)
        if way == 1:
            return
        if way == 0:
            self.run.record(self.unit)
            result = self.run.result(self.unit)
            raise _Ended(states.PROTOCOL if result == states.SUCCESS else result)
        await self._end()
        if way < 0:
            self._say(f"start operation timed out after {limit:g} s.")
        raise _Ended(states.TIMEOUT if way < 0 else states.SUCCESS)

    async def _until_exit(self, limit: float) -> None:
        """Wait for the main process; end it when a stop is wanted or ``limit`` seconds passed."""
        way = await first(self.run.running.exited(), self._stop.wait(), timeout=limit)
        if way == 0:
            self.run.record(self.unit)
            return
        await self._end()
        if way < 0:
            self._say(f"reached its time limit of {limit:g} s.")
            raise _Ended(states.TIMEOUT)

    async def _end(self) -> None:
        self._move(states.STOP)
        await self.run.end(self.unit)

    def _started(self, sub: str) -> None:
        self._move(sub)
        self.active_since = self.changed_at
        self.active_since_boot = time.monotonic()
        self._say(f"Started {self.unit.last('Unit', 'Description', self.unit.name)}.")
        self._settle(states.SUCCESS)

    @property
    def _start_limit(self) -> float:
        return self.unit.span("Service", "TimeoutStartSec", TIMEOUT_S)

    def _move(self, wanted: str) -> None:
        self.sub = states.move(self.unit.name, self.sub, wanted)
        self.changed_at = time.time()

    def _say(self, sentence: str) -> None:
        self._journal.say(self.unit.name, f"{self.unit.name}: {sentence}")
