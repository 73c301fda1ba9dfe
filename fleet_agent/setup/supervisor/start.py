"""Become a unit's process: place its descriptors, end when the supervisor ends, then exec.

Run as `python -I -S start.py SETTING -- ARGV`: what a service manager does
between fork and exec, in a program of its own since ``proc`` starts programs and nothing else.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import sys

_FIRST_LISTEN_FD = 3
_PR_SET_PDEATHSIG = 1
_HIGH = 64
_CANNOT_EXEC = 203


def main() -> int:
    """Exec ARGV; 203 when that is not possible, as systemd says it."""
    setting = json.loads(sys.argv[1])
    argv = sys.argv[3:]
    if setting["tied"]:
        end_with_parent(signal.SIGKILL)
        if os.getppid() != setting["parent"]:
            return 1
    # First out of each other's way, then where they belong.
    stdio = [fcntl.fcntl(fd, fcntl.F_DUPFD, _HIGH) for fd in setting["stdio"]]
    listen = [fcntl.fcntl(fd, fcntl.F_DUPFD, _HIGH) for fd in setting["listen"]]
    for place, fd in enumerate(stdio):
        os.dup2(fd, place)
    for place, fd in enumerate(listen, _FIRST_LISTEN_FD):
        os.dup2(fd, place)
    os.closerange(_FIRST_LISTEN_FD + len(listen), os.sysconf("SC_OPEN_MAX"))
    if listen:
        os.environ["LISTEN_FDS"] = str(len(listen))
        os.environ["LISTEN_PID"] = str(os.getpid())
        os.environ["LISTEN_FDNAMES"] = ":".join(setting["names"])
    try:
        os.chdir(setting["cwd"])
        os.execvpe(argv[0], argv, os.environ)  # noqa: S606
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", file=sys.stderr)
    return _CANNOT_EXEC


def end_with_parent(number: int) -> None:
    """Let the kernel send ``number`` to this process when its parent ends (prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number)


if __name__ == "__main__":
    sys.exit(main())
