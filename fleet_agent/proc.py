"""The only door to other programs: argument lists, never a shell; time limits; process groups.

Not for talking to systemd or Ansible in their own words: that is their rooms' matter.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO, Final, NamedTuple

from fleet_agent.errors import FleetError

_ENDING_SECONDS: Final = 2.0


class ProcessError(FleetError):
    """A program could not be started, ran out of time, or ended with an unwanted code."""

    title = "a program failed"


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
) -> Completed:
    """Run ``argv`` to its end, in a process group of its own that is killed on time-out.

    Raises ProcessError when it can't be started, when ``timeout_seconds`` pass, or, with
    ``check``, when it ends with another code than 0. The error names the program and its own
    last words, never its arguments after the first (they may be long, never secret by rule).
    """
    running = start(argv, env=env, cwd=cwd, stdin=stdin is not None)
    try:
        out, err = running.communicate(stdin, timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        end(running)
        raise ProcessError(
            f"did not end within {timeout_seconds:g} s", where=os.path.basename(argv[0])
        ) from None
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


def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    stdin: bool = False,
    out: IO[bytes] | int | None = subprocess.PIPE,
    err: IO[bytes] | int | None = subprocess.PIPE,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start ``argv`` in a session (process group) of its own and return at once.

    Raises ProcessError when it can't be started.
    """
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=None if env is None else dict(env),
            cwd=cwd,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    except OSError as error:
        raise ProcessError(
            f"could not be started: {error.strerror}",
            where=argv[0],
            mend="is it installed and on PATH?",
        ) from error


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


def end(running: subprocess.Popen[bytes]) -> None:
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
