"""Brings the operator's commit to the orchestrator, before any forge has to let it fetch.

Runs as root, its Git as ``fleet-deploy``. Only below refs/bootstrap/: what the forge says is not
touched.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from typing import Any, BinaryIO

from fleet_agent import proc
from fleet_agent.errors import NodeError
from fleet_agent.setup.remote.ground import Steps, environment, run
from fleet_agent.setup.remote.orchestrator import HOME, PATHS, USER

MIRROR = PATHS.mirror
REF = "refs/bootstrap/HEAD"
FETCH_SECONDS = 300.0


def main(given: dict[str, Any], payload: BinaryIO) -> dict[str, Any]:
    """``given``: ``commit`` and ``send``.

    Without ``send`` only ``there`` is answered; with it, payload is a git bundle whose HEAD is
    that commit.
    """
    commit = str(given["commit"])
    if not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", commit):
        raise NodeError("is no commit", where=commit)
    steps = Steps()
    if not os.path.isdir(os.path.join(MIRROR, "objects")):
        _git("init", "--quiet", "--bare", "--template=", "--", MIRROR)
    there = _at() == commit
    if not there and not given["send"]:
        return steps.answer(there=False)
    if not there:
        _take(payload)
        if _at() != commit:
            raise NodeError(f"the bundle did not bring {commit}", where=MIRROR)
    steps.note(f"commit {commit[:12]} is on the orchestrator", not there)
    return steps.answer(there=True)


def _take(payload: BinaryIO) -> None:
    new, name = tempfile.mkstemp(prefix="bootstrap-", suffix=".bundle", dir=HOME)
    try:
        with os.fdopen(new, "wb") as out:
            shutil.copyfileobj(payload, out)
            os.fchmod(out.fileno(), 0o644)
        _git("-C", MIRROR, "fetch", "--quiet", "--no-tags", name, f"+HEAD:{REF}")
    finally:
        os.unlink(name)


def _at() -> str:
    asked = proc.run(
        _argv("-C", MIRROR, "rev-parse", "--verify", "--quiet", REF),
        timeout_seconds=FETCH_SECONDS,
        env=environment(),
        check=False,
    )
    return asked.text


def _git(*arguments: str) -> None:
    run(*_argv(*arguments), seconds=FETCH_SECONDS)


def _argv(*arguments: str) -> list[str]:
    whole = ("-c", "core.fsync=all")  # over a power cut, too
    return ["runuser", "-u", USER, "--", "env", f"HOME={HOME}", "git", *whole, *arguments]
