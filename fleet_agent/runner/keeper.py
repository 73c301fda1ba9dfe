"""Keeps one program and all that it starts together, where no cgroup does; a script, run by path.

    python3 -I -S keeper.py PARENT PROGRAM [WORD…]

Whatever the program leaves behind, daemons with sessions of their own too, becomes a child of this
process and is killed when the program ends, when SIGTERM comes, or when PARENT (a pid) is no more.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_NOT_STARTED = 127


class _Ended(BaseException):
    """SIGTERM came."""


def _end(_number: int, _frame: object) -> None:
    raise _Ended


def _children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as source:
        return [int(word) for word in source.read().split()]


def _kill_all() -> None:
    """Until there is no child: those of a killed one become ours and are killed in turn."""
    while True:
        for child in _children():
            os.kill(child, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def main(argv: list[str]) -> int:
    """Run the program; its exit code, or our end by the signal that ended it."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, _end)
    libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    status = 0
    try:
        if os.getppid() != int(argv[0]):
            return _NOT_STARTED  # it died before we could be told
        try:
            program = os.posix_spawn(
                argv[1], argv[1:], os.environ, setsid=True, setsigdef=[signal.SIGTERM]
            )
        except OSError as error:
            print(f"could not be started: {error.strerror}", file=sys.stderr)
            return _NOT_STARTED
        ended = 0
        while ended != program:
            ended, status = os.wait()
    except _Ended:
        status = signal.SIGKILL
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _kill_all()
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
