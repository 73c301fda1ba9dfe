"""The only door to other programs: argument lists, never a shell; time limits; process groups.

Not for talking to systemd or Ansible in their own words: that is their rooms' matter.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Final, NamedTuple, TypeAlias

from fleet_agent.errors import FleetError

Running: TypeAlias = subprocess.Popen[bytes]

MOST_BYTES: Final = 64 * 1024 * 1024
_ENDING_SECONDS: Final = 2.0
_READ_BYTES: Final = 64 * 1024


class ProcessError(FleetError):
    """A program could not be started, ran out of time, or ended with an unwanted code."""

    title = "a program failed"


class SaidTooMuch(ProcessError):  # noqa: N818 (it reads as what happened)
    """A program wrote more than its caller wants to hold, and was ended."""


class Completed(NamedTuple):
    """What a program left: exit code (negative: a signal), standard output and error as bytes."""

    argv: tuple[str, ...]
    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Standard output as text without the last line break."""
        return self.out.decode("utf-8", "replace").rstrip("\n")

    @property
    def complaint(self) -> str:
        """The last lines of standard error, for an error message."""
        return "\n".join(self.err.decode("utf-8", "replace").strip().splitlines()[-5:])


def run(
    argv: Sequence[str],
    *,
    timeout_seconds: float,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    check: bool = True,
    most_bytes: int = MOST_BYTES,
) -> Completed:
    """Run ``argv`` to its end, in a process group of its own that is killed on time-out.

    Raises ProcessError when it can't be started, when ``timeout_seconds`` pass, when it writes
    more than ``most_bytes`` (SaidTooMuch: another machine may speak through it, and not in good
    faith), or, with ``check``, when it ends with another code than 0. The error names the program
    and its own last words, never its arguments after the first (they may be long, never secret).
    """
    running = start(argv, env=env, cwd=cwd, stdin=stdin is not None)
    return finish(
        running,
        argv,
        timeout_seconds=timeout_seconds,
        stdin=stdin or b"",
        check=check,
        most_bytes=most_bytes,
    )


def finish(
    running: Running,
    argv: Sequence[str],
    *,
    timeout_seconds: float,
    stdin: bytes = b"",
    check: bool = True,
    most_bytes: int = MOST_BYTES,
) -> Completed:
    """Give ``stdin`` to what was started as ``argv`` and bring it to its end, as ``run`` does."""
    deadline, who = time.monotonic() + timeout_seconds, os.path.basename(argv[0])
    try:
        out, err = _exchanged(running, who, stdin, deadline, most_bytes)
        running.wait(max(0.0, deadline - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        end(running)
        raise ProcessError(f"did not end within {timeout_seconds:g} s", where=who) from None
    except BaseException:
        end(running)
        raise
    done = Completed(tuple(argv), running.returncode, out, err)
    if check and done.code != 0:
        raise ProcessError(
            f"ended with {done.code}: {done.complaint or done.text[-300:] or 'no output'}",
            where=" ".join(argv[:2]),
        )
    return done


def _exchanged(
    running: Running, who: str, given: bytes, deadline: float, most: int
) -> tuple[bytes, bytes]:
    """Write ``given``, and read both outputs to their ends.

    Popen.communicate, but bounded: raises TimeoutError after the monotonic ``deadline``, and
    SaidTooMuch, which names ``who``, for more than ``most`` bytes.
    """
    named = {"in": running.stdin, "out": running.stdout, "err": running.stderr}
    streams = {name: stream for name, stream in named.items() if stream is not None}
    said: dict[str, bytearray] = {"out": bytearray(), "err": bytearray()}
    with selectors.DefaultSelector() as selector:
        for name, stream in streams.items():
            event = selectors.EVENT_WRITE if name == "in" else selectors.EVENT_READ
            selector.register(stream, event, name)
        left = memoryview(given)
        while selector.get_map():
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0:
                raise TimeoutError
            for key, _ in selector.select(left_seconds):
                if key.data == "in":
                    left = _written(key.fd, left)
                    over = not left
                else:
                    part = os.read(key.fd, _READ_BYTES)
                    said[key.data] += part
                    over = not part
                if over:
                    selector.unregister(key.fileobj)
                    streams[key.data].close()
            if len(said["out"]) + len(said["err"]) > most:
                raise SaidTooMuch(f"wrote more than {most} bytes", where=who)
    return bytes(said["out"]), bytes(said["err"])


def _written(handle: int, data: memoryview) -> memoryview:
    """What is left of ``data``; nothing when the program reads no more. Never blocks."""
    try:
        return data[os.write(handle, data[: select.PIPE_BUF]) :]
    except BrokenPipeError:
        return data[:0]


def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    stdin: bool = False,
    out: IO[bytes] | int | None = subprocess.PIPE,
    err: IO[bytes] | int | None = subprocess.PIPE,
    pass_fds: Sequence[int] = (),
    memory_bytes: int | None = None,
    before_exec: Callable[[], None] | None = None,
) -> Running:
    """Start ``argv`` in a session (process group) of its own and return at once.

    ``memory_bytes``: what it, and each process that it starts, may allocate for itself.
    ``before_exec`` is called in the new process; only a caller without threads may give one.
    Raises ProcessError when it can't be started.
    """
    try:
        running = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=None if env is None else dict(env),
            cwd=cwd,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
            preexec_fn=before_exec,  # noqa: PLW1509 (see above: no threads)
        )
    except subprocess.SubprocessError as error:
        raise ProcessError(f"could not be started: {error}", where=argv[0]) from error
    except OSError as error:
        raise ProcessError(
            f"could not be started: {error.strerror}",
            where=argv[0],
            mend="is it installed and on PATH?",
        ) from error
    if memory_bytes is not None:
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            resource.prlimit(running.pid, resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    return running


def show(
    argv: Sequence[str],
    *,
    timeout_seconds: float,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
) -> int:
    """Run ``argv`` with our own standard output and error, to its end; its exit code.

    Raises ProcessError when it can't be started, or when ``timeout_seconds`` pass.
    """
    running = start(argv, env=env, cwd=cwd, out=None, err=None)
    try:
        return running.wait(timeout_seconds)
    except subprocess.TimeoutExpired:
        raise ProcessError(
            f"did not end within {timeout_seconds:g} s", where=os.path.basename(argv[0])
        ) from None
    finally:
        if running.poll() is None:
            end(running)


def end(running: Running) -> None:
    """End a started program and its whole group: SIGTERM, then SIGKILL after two seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(running.pid, number)
        except ProcessLookupError:
            break
        try:
            running.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    for stream in (running.stdin, running.stdout, running.stderr):
        if stream is not None:
            stream.close()
    running.wait()
