"""Running commands for the lab: one call, a time limit always, an error that shows all output."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Completed = subprocess.CompletedProcess[str]


class LabError(Exception):
    """The lab could not do what was asked; the text holds what the command said."""


def call(
    argv: Sequence[str],
    *,
    timeout_s: float = 60.0,
    check: bool = True,
    stdin: str | bytes = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
) -> Completed:
    """Run `argv` to its end within `timeout_s` seconds and return its decoded output.

    A non-zero exit is a LabError unless `check` is false; running into the limit always is one.
    `env` is added to this process's environment.
    """
    data = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        done = subprocess.run(
            list(argv),
            input=data,
            capture_output=True,
            timeout=timeout_s,
            env={**os.environ, **env} if env else None,
            cwd=cwd,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"") + (late.stderr or b"")
        raise LabError(
            f"{shlex.join(argv)}: no end after {timeout_s:g} s\n{said.decode(errors='replace')}"
        ) from late
    out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    if check and done.returncode:
        raise LabError(f"{shlex.join(argv)}: exit {done.returncode}\n{out}{err}")
    return subprocess.CompletedProcess(list(argv), done.returncode, out, err)


def mounts_below(place: Path) -> list[str]:
    """The mount points at and below `place`, in the order they were mounted."""
    points = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())
    return [point for point in points if Path(point).is_relative_to(place)]


def wait_until(
    ready: Callable[[], bool], *, timeout_s: float, what: str, every_s: float = 0.05
) -> None:
    """Ask `ready` every `every_s` seconds until it says yes, for `timeout_s` seconds at most."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() >= deadline:
            raise LabError(f"{what}: not within {timeout_s:g} s")
        time.sleep(every_s)
