"""Files of our own that survive a power cut: written beside, fsynced, renamed, name fsynced."""

from __future__ import annotations

import json
import os
from typing import Any

from fleet_agent.errors import NodeError


def write(path: str, data: bytes, mode: int = 0o600) -> None:
    """Replace ``path`` by ``data`` so that after a crash it is the old or the new, whole."""
    beside = f"{path}.{os.getpid()}.new"
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as out:
        os.fchmod(out.fileno(), mode)
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    os.rename(beside, path)
    sync_directory(os.path.dirname(path))


def write_json(path: str, value: Any) -> None:
    """Replace ``path`` by ``value`` as JSON."""
    write(path, json.dumps(value, separators=(",", ":")).encode())


def read_json(path: str) -> Any:
    """The JSON in ``path``, None when there is no such file.

    Raises NodeError for a file that is no JSON: such files are only ever replaced whole, so
    somebody else has written there.
    """
    try:
        with open(path, "rb") as source:
            return json.loads(source.read())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise NodeError(
            f"is damaged: {error}", where=path, mend="look at it, then move it away"
        ) from None


def link(path: str, target: str) -> None:
    """Let the symbolic link ``path`` lead to ``target``, atomically."""
    beside = f"{path}.{os.getpid()}.new"
    unlink(beside)
    os.symlink(target, beside)
    os.rename(beside, path)
    sync_directory(os.path.dirname(path))


def unlink(path: str) -> bool:
    """Remove ``path``; whether it was there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    sync_directory(os.path.dirname(path))
    return True


def sync_directory(path: str) -> None:
    """Bring a directory's names to the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def directory(path: str, mode: int = 0o755) -> None:
    """Make ``path`` and what lies above it; its own mode is ``mode`` when it is new."""
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    if above != path:
        directory(above)
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        return
    os.chmod(path, mode)
    sync_directory(above)
