"""The processes of one service: its main one and the control commands around it.

Not for when to start or stop them, nor for states: that is ``service``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fleet_agent.errors import FleetError
from fleet_agent.setup.supervisor import states
from fleet_agent.setup.supervisor.command import Command, command
from fleet_agent.setup.supervisor.journal import Journal
from fleet_agent.setup.supervisor.place import Place
from fleet_agent.setup.supervisor.process import Process
from fleet_agent.setup.supervisor.unitfile import Unit

TIMEOUT_S: Final = 90.0

Sockets = Callable[[], list[tuple[int, str]]]


class UnitFailedError(FleetError):
    """A unit could not do what it was told to."""

    title = "a unit failed"


async def first(*ways: Coroutine[Any, Any, Any], timeout: float = float("inf")) -> int:
    """The place of the first of ``ways`` that is done, or -1 when ``timeout`` seconds passed."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        limit = None if timeout == float("inf") else timeout
        done, _ = await asyncio.wait(tasks, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        return next((place for place, task in enumerate(tasks) if task in done), -1)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Execution:
    """Runs the commands of one service."""

    def __init__(self, place: Place, journal: Journal, sockets: Sockets) -> None:
        self.main: Process | None = None
        self.exit: int | None = None
        self.started_at = 0.0
        self.started_since_boot = 0.0
        self.exited_at = 0.0
        self._place = place
        self._journal = journal
        self._sockets = sockets
        self._env: dict[str, str] = {}

    @property
    def running(self) -> Process:
        """The main process. UnitFailedError when there never was one."""
        if self.main is None:
            raise UnitFailedError("there is no main process")
        return self.main

    @property
    def pid(self) -> int:
        """The main process's pid, 0 when it does not run."""
        return 0 if self.main is None or self.main.gone else self.main.pid

    def prepare(self, unit: Unit, invocation: str) -> None:
        """Make the environment of a new start. ConfigError when the unit's lines are wrong."""
        self._env = self._place.environment(unit, invocation)

    def parsed(self, unit: Unit, key: str) -> list[Command]:
        """The commands of ``key``. ConfigError when one is wrong."""
        return [
            command(line, self._env, self._place.root, f"{unit.name}: {key}")
            for line in unit.all("Service", key)
        ]

    def spawn(self, unit: Unit, wanted: Command) -> None:
        """Start the main process."""
        self.main = self._process(unit, wanted, main=True)
        self.exit = None
        self.started_at = time.time()
        self.started_since_boot = time.monotonic()

    def _process(self, unit: Unit, wanted: Command, *, main: bool) -> Process:
        log = self._journal.open(unit.name)
        null = os.open(os.devnull, os.O_RDWR)
        try:
            return Process(
                wanted.argv,
                env=self._env,
                cwd=self._place.directory(unit),
                stdio=(null, log, log),
                listen=self._sockets() if main else (),
            )
        finally:
            os.close(log)
            os.close(null)

    async def control(self, unit: Unit, key: str) -> bool:
        """Run the commands of ``key`` one after the other; False when one that must not fails."""
        self._env["MAINPID"] = str(self.pid)
        limit = unit.span("Service", "TimeoutStartSec", TIMEOUT_S)
        for wanted in self.parsed(unit, key):
            process = self._process(unit, wanted, main=False)
            if await first(process.exited(), timeout=limit) < 0:
                process.kill(signal.SIGKILL)
            if await process.exited() != 0 and not wanted.may_fail:
                self._say(unit, f"Control process of {key} ended with {process.code}")
                return False
        return True

    async def end(self, unit: Unit) -> None:
        """End the main process: ExecStop, its signal, and SIGKILL when it takes too long."""
        main = self.running
        await self.control(unit, "ExecStop")
        number = signal.Signals[unit.last("Service", "KillSignal", "SIGTERM")]
        alone = unit.last("Service", "KillMode") in {"mixed", "process"}
        main.kill(number, group=not alone)
        limit = unit.span("Service", "TimeoutStopSec", TIMEOUT_S)
        if await first(main.exited(), timeout=limit) < 0:
            self._say(unit, f"did not stop within {limit:g} s. Killing.")
            main.kill(signal.SIGKILL)
        await main.exited()
        self.record(unit)

    def record(self, unit: Unit) -> None:
        """Note how the main process ended."""
        self.exit = self.running.code
        self.exited_at = time.time()
        if self.result(unit) != states.SUCCESS:
            how = "exited" if self.exit >= 0 else "killed"
            self._say(unit, f"Main process exited, code={how}, status={abs(self.exit)}")

    def result(self, unit: Unit) -> str:
        """What the end of the last main process means."""
        words = unit.names("Service", "SuccessExitStatus")
        clean = frozenset(int(word) for word in words if word.isdigit())
        return states.result_of(self.exit or 0, clean)

    def _say(self, unit: Unit, sentence: str) -> None:
        self._journal.say(unit.name, f"{unit.name}: {sentence}")
