"""What every remote program stands on: look first, change only what differs, say which it was.

Runs as root on the machine. A step is a sentence and whether anything was changed for it.
"""

from __future__ import annotations

import grp
import os
import pwd
import tempfile
from typing import Any

from fleet_agent import proc
from fleet_agent.errors import NodeError

SECONDS = 60.0


class Steps:
    """What was done, in order: ``{"what": sentence, "changed": bool}``."""

    def __init__(self) -> None:
        self.done: list[dict[str, Any]] = []

    def note(self, what: str, changed: bool) -> None:
        """Record a step."""
        self.done.append({"what": what, "changed": changed})

    def answer(self, **facts: Any) -> dict[str, Any]:
        """The program's answer: its steps and whatever else it found out."""
        return {"steps": self.done, **facts}


def run(*argv: str, seconds: float = SECONDS, stdin: bytes | None = None) -> proc.Completed:
    """Run a program of the machine to its end. Raises ProcessError with its own last words."""
    return proc.run(argv, timeout_seconds=seconds, stdin=stdin, env=environment())


def environment() -> dict[str, str]:
    """The environment of the programs run here: over ssh, PATH often lacks sbin."""
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}


def user_exists(name: str) -> bool:
    """Whether the system knows this user."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def group_exists(name: str) -> bool:
    """Whether the system knows this group."""
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def directory(path: str, mode: int, user: str = "root", group: str = "root") -> bool:
    """Make ``path`` a directory with this mode and owner; whether anything was changed.

    Raises NodeError where something else is in its place (a link is not followed).
    """
    if os.path.islink(path) or (os.path.lexists(path) and not os.path.isdir(path)):
        raise NodeError("is there, and is no directory", where=path, mend="move it away")
    made = not os.path.isdir(path)
    if made:
        os.mkdir(path, mode)
    return _settle(path, mode, user, group) or made


def file(path: str, data: bytes, mode: int, user: str = "root", group: str = "root") -> bool:
    """Make ``path`` a file with this content, mode and owner; whether anything was changed.

    It is replaced in one step, so nobody ever reads half of it. Raises NodeError where
    something else than a plain file is in its place.
    """
    if os.path.islink(path) or (os.path.lexists(path) and not os.path.isfile(path)):
        raise NodeError("is there, and is no plain file", where=path, mend="move it away")
    if read(path) == data:
        return _settle(path, mode, user, group)
    new, name = tempfile.mkstemp(prefix=".fleet-agent-", dir=os.path.dirname(path))
    try:
        with os.fdopen(new, "wb") as out:
            out.write(data)
            out.flush()
            os.fchown(out.fileno(), pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid)
            os.fchmod(out.fileno(), mode)
            os.fsync(out.fileno())
        os.rename(name, path)
    except BaseException:
        os.unlink(name)
        raise
    fsync(os.path.dirname(path))
    return True


def fsync(path: str) -> None:
    """Let a file, or the names in a directory, outlive a power cut from here on."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: str) -> bytes | None:
    """The content of a file, None where there is none."""
    try:
        with open(path, "rb") as source:
            return source.read()
    except FileNotFoundError:
        return None


def _settle(path: str, mode: int, user: str, group: str) -> bool:
    """Give ``path`` mode and owner; whether it had others."""
    uid, gid = pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid
    now = os.stat(path)
    if (now.st_uid, now.st_gid) == (uid, gid) and now.st_mode & 0o7777 == mode:
        return False
    os.chown(path, uid, gid)
    os.chmod(path, mode)
    return True
