"""Gives the orchestrator its Python environment, filled only from wheels that came along.

Runs as root. One directory an environment, named by what is in it; the link is switched when it
is whole, so a running fleet-deploy keeps the one it was started from.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import tempfile
from typing import Any, BinaryIO

from fleet_agent.errors import NodeError
from fleet_agent.setup.remote.ground import Steps, directory, run

PLACE = "/opt/fleet-agent/venvs"
LINK = "/opt/fleet-agent/venv"
COMMAND = "/usr/local/bin/fleet-agent"
WHOLE = "whole"
KEPT = 2
BUILD_SECONDS = 600.0


def main(given: dict[str, Any], payload: BinaryIO) -> dict[str, Any]:
    """``given``: ``digest``, ``requirements`` and ``send``.

    Without ``send`` it only answers whether the environment is ``there``; with it, payload is a
    tar of wheels.
    """
    digest = str(given["digest"])
    if not re.fullmatch(r"[0-9a-f]{16,64}", digest):
        raise NodeError("is no digest", where=digest)
    path = os.path.join(PLACE, digest)
    there = os.path.exists(os.path.join(path, WHOLE))
    steps = Steps()
    if not there and not given["send"]:
        return steps.answer(there=False)
    if not there:
        directory(PLACE, 0o755)
        _build(path, [str(one) for one in given["requirements"]], payload)
    steps.note("Python environment with ansible-core", not there)
    linked = [link(LINK, path), link(COMMAND, LINK + "/bin/fleet-agent")]
    steps.note(f"command {COMMAND}", any(linked))
    _remove_old(path)
    return steps.answer(there=True)


def _build(path: str, requirements: list[str], payload: BinaryIO) -> None:
    shutil.rmtree(path, ignore_errors=True)  # of a run that was cut short
    with tempfile.TemporaryDirectory(prefix="fleet-agent-wheels-", dir="/var/tmp") as wheels:
        receive(payload, wheels)
        run("/usr/bin/python3", "-m", "venv", path, seconds=BUILD_SECONDS)
        run(
            path + "/bin/python", "-I", "-m", "pip", "--isolated", "--disable-pip-version-check",
            "install", "--quiet", "--no-index", "--no-cache-dir", "--find-links", wheels,
            *requirements,
            seconds=BUILD_SECONDS,
        )  # fmt: skip
    run("sync", "--file-system", path)
    with open(os.path.join(path, WHOLE), "wb") as whole:
        os.fsync(whole.fileno())


def receive(payload: BinaryIO, into: str) -> None:
    """Unpack the tar of wheels: plain files at its top, and nothing else."""
    with tarfile.open(fileobj=payload, mode="r|") as archive:
        for entry in archive:
            source = archive.extractfile(entry) if entry.isreg() else None
            if source is None or not re.fullmatch(r"[A-Za-z0-9._+-]+\.whl", entry.name):
                raise NodeError("is no wheel", where=entry.name)
            with open(os.path.join(into, entry.name), "xb") as out:
                shutil.copyfileobj(source, out)


def link(path: str, target: str) -> bool:
    """Make ``path`` a link to ``target`` in one step; whether it was none. Raises NodeError."""
    if os.path.islink(path):
        if os.readlink(path) == target:
            return False
    elif os.path.lexists(path):
        raise NodeError("is there, and is not ours", where=path, mend="move it away")
    new = f"{path}.new"
    if os.path.islink(new):
        os.unlink(new)
    os.symlink(target, new)
    os.rename(new, path)
    return True


def _remove_old(current: str) -> None:
    """Keep the current environment and the one before, which may still be running."""
    others = [one.path for one in os.scandir(PLACE) if one.is_dir() and one.path != current]
    others.sort(key=os.path.getmtime, reverse=True)
    for path in others[KEPT - 1 :]:
        shutil.rmtree(path)
