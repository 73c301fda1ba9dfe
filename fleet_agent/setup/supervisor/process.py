"""A unit's process: started through ``start.py`` in a group of its own, watched through a pidfd.

Not for deciding what its end means: that is ``service``.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from fleet_agent import proc

_START: Final = str(Path(__file__).with_name("start.py"))


class Process:
    """One running process. Made inside a running event loop, which its end wakes."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str,
        stdio: tuple[int, int, int],
        listen: Sequence[tuple[int, str]] = (),
    ) -> None:
        """Start ``argv``; ``listen`` are listening descriptors with their names.

        Raises ProcessError when not even the starter can be started.
        """
        setting = {
            "stdio": stdio,
            "listen": [fd for fd, _ in listen],
            "names": [name for _, name in listen],
            "cwd": cwd,
            "tied": True,
            "parent": os.getpid(),
        }
        self._popen = proc.start(
            [sys.executable, "-I", "-S", _START, json.dumps(setting), "--", *argv],
            env=env,
            out=None,
            err=None,
            pass_fds=[*stdio, *(fd for fd, _ in listen)],
        )
        self.pid: Final = self._popen.pid
        self._pidfd = os.pidfd_open(self.pid)
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int] = self._loop.create_future()
        self._loop.add_reader(self._pidfd, self._reap)

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        code = self._popen.wait()
        self.kill(signal.SIGKILL)  # what it left behind in its group
        if not self._exit.done():
            self._exit.set_result(code)

    async def exited(self) -> int:
        """Wait for its end: the exit code, or the negative number of the signal that ended it."""
        return await asyncio.shield(self._exit)

    @property
    def code(self) -> int:
        """How it ended, as ``exited`` gives it; InvalidStateError while it runs."""
        return self._exit.result()

    @property
    def gone(self) -> bool:
        """Whether it has ended."""
        return self._exit.done()

    def kill(self, number: int, *, group: bool = True) -> None:
        """Send a signal to its whole group, or to the main process alone."""
        try:
            if group:
                os.killpg(self.pid, number)
            elif not self.gone:
                os.kill(self.pid, number)
        except ProcessLookupError:
            return  # it ended a moment ago, which is what was wanted
