"""One program, run once: its input, its output, its time, and the end of all that it started.

Not for what may be run (``server``) and not for where it lives (``cells``).
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Final, NamedTuple

from fleet_agent import proc
from fleet_agent.httpd.loop import Loop, Timer
from fleet_agent.runner.bounds import Bounds
from fleet_agent.runner.cells import Cell
from fleet_agent.runner.lastwords import last_line
from fleet_agent.runner.protocol import Outcome, Why

_READ_BYTES: Final = 64 * 1024
_TAIL_BYTES: Final = 8 * 1024
# For the pipes of killed processes to come to their ends.
_ENDING_SECONDS: Final = 5.0

log = logging.getLogger("fleet_agent.runner")


class Program(NamedTuple):
    """What is run: an argument list that the release declares, an environment, a directory."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str


class Job:
    """One run. ``ended`` is called once, with its outcome, unless it was cancelled before.

    Raises ProcessError when it can't be started; then the cell is closed.
    """

    def __init__(  # noqa: PLR0917 (made in one place)
        self,
        loop: Loop,
        cell: Cell,
        program: Program,
        given: bytes,
        bounds: Bounds,
        ended: Callable[[Outcome], None],
    ) -> None:
        self._loop = loop
        self._cell = cell
        self._bounds = bounds
        self._ended: Callable[[Outcome], None] | None = ended
        self._given = memoryview(given)
        self._out = bytearray()
        self._tail = bytearray()  # of standard error
        self._error_bytes = 0
        self._why: tuple[Why, str] | None = None  # what we ended it for
        self._began = time.monotonic()
        self._timer: Timer | None = None
        try:
            self._child = proc.start(
                cell.argv(program.argv), env=program.env, cwd=program.cwd, stdin=True,
                before_exec=cell.enter,
            )  # fmt: skip
        except proc.ProcessError:
            cell.close()
            raise
        cell.started(self._child.pid)
        self._watch()

    def cancel(self) -> None:
        """Nobody wants its outcome any more: end it."""
        self._ended = None
        self._cell.kill()

    # Watching.

    def _watch(self) -> None:
        self._timer = self._loop.call_later(self._bounds.seconds, self._late)
        self._pidfd = os.pidfd_open(self._child.pid)
        self._loop.add_reader(self._pidfd, self._exited)
        self._open: dict[str, IO[bytes]] = {}
        for name, stream in (("in", self._child.stdin), ("out", self._child.stdout),
                             ("err", self._child.stderr)):  # fmt: skip
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self._open[name] = stream
        self._loop.add_reader(self._open["out"].fileno(), self._out_came)
        self._loop.add_reader(self._open["err"].fileno(), self._err_came)
        self._loop.add_writer(self._open["in"].fileno(), self._in_goes)

    def _in_goes(self) -> None:
        try:
            written = os.write(self._open["in"].fileno(), self._given[:_READ_BYTES])
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EPIPE:
                log.warning("standard input of a job: %s", error.strerror)
            self._close("in")  # it reads no more of it, which is its own affair
            return
        self._given = self._given[written:]
        if not self._given:
            self._close("in")

    def _out_came(self) -> None:
        self._out += self._part("out")
        if len(self._out) > self._bounds.output_bytes:
            most = self._bounds.output_bytes
            self._end(Why.OUTPUT, f"wrote more than {most} bytes to standard output")

    def _err_came(self) -> None:
        part = self._part("err")
        self._error_bytes += len(part)
        self._tail += part
        del self._tail[:-_TAIL_BYTES]
        if self._error_bytes > self._bounds.error_bytes:
            most = self._bounds.error_bytes
            self._end(Why.OUTPUT, f"wrote more than {most} bytes to standard error")

    def _part(self, name: str) -> bytes:
        try:
            part = os.read(self._open[name].fileno(), _READ_BYTES)
        except BlockingIOError:
            return b""
        if not part:
            self._close(name)
            self._look()
        return part

    def _late(self) -> None:
        self._end(Why.TIMEOUT, f"did not end within {self._bounds.seconds:g} s")

    def _end(self, why: Why, reason: str) -> None:
        if self._why is None:
            self._why = (why, reason)
            self._cell.kill()
        # What it goes on to say is read, until it is dead, and dropped.
        del self._out[self._bounds.output_bytes :]

    # The end.

    def _exited(self) -> None:
        """Its first process is over: so is everything else of it."""
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        self._child.wait()
        self._cell.kill()
        self._stop_timer()
        if not self._look():
            self._timer = self._loop.call_later(_ENDING_SECONDS, self._finish)

    def _look(self) -> bool:
        """Finish when there is nothing more to come; whether it was finished."""
        if self._pidfd >= 0 or "out" in self._open or "err" in self._open:
            return False
        self._finish()
        return True

    def _finish(self) -> None:
        self._stop_timer()
        for name in tuple(self._open):
            self._close(name)
        why, reason = self._judged(self._child.returncode)
        self._cell.close()
        ended, self._ended = self._ended, None
        if ended is not None:
            output = bytes(self._out) if why is None else b""
            ended(Outcome(why, reason, output, time.monotonic() - self._began))

    def _judged(self, code: int) -> tuple[Why | None, str]:
        said = last_line(bytes(self._tail))
        if self._why is not None:
            why, reason = self._why
        elif self._cell.out_of_memory():
            mib = self._bounds.memory_bytes // (1024 * 1024)
            why, reason = Why.MEMORY, f"took more than {mib} MiB of memory and was killed"
        elif code < 0:
            why, reason = Why.SIGNAL, f"was ended by {_signal(-code)}"
        elif code > 0:
            why, reason = Why.EXIT, f"ended with exit code {code}"
        else:
            return None, ""
        return why, f"{reason}: {said}" if said else reason

    def _close(self, name: str) -> None:
        stream = self._open.pop(name, None)
        if stream is not None:
            self._loop.remove_reader(stream.fileno())
            self._loop.remove_writer(stream.fileno())
            stream.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
