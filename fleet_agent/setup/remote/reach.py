"""Tries, on the orchestrator and as ``fleet-deploy``, whether every node can be deployed to.

Runs as root; it tries what deploys do: ssh with the pinned keys, then sudo. Changes nothing.
"""

from __future__ import annotations

import threading
import time
from typing import Any, BinaryIO

from fleet_agent import proc
from fleet_agent.errors import FleetError
from fleet_agent.setup.remote.ground import environment
from fleet_agent.setup.remote.orchestrator import USER

# Tells how long sudo took on the node, apart from the way there.
TIMED = (
    "import subprocess,time;t=time.monotonic();"
    "c=subprocess.run(['sudo','-n','true']).returncode;"
    "print(c,round(time.monotonic()-t,3))"
)


def main(given: dict[str, Any], payload: BinaryIO) -> dict[str, Any]:
    """``given``: ``ways`` (host → ssh argv up to the command), ``seconds``. Answers ``reached``:
    host → ``{"ok", "said", "sudo_seconds"}``."""
    reached: dict[str, dict[str, Any]] = {}
    threads = [
        threading.Thread(target=_one, args=(host, argv, float(given["seconds"]), reached))
        for host, argv in given["ways"].items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"steps": [], "reached": reached}


def _one(host: str, argv: list[str], seconds: float, reached: dict[str, dict[str, Any]]) -> None:
    began = time.monotonic()
    command = ["runuser", "-u", USER, "--", *argv, f'python3 -I -S -c "{TIMED}"']
    try:
        done = proc.run(command, timeout_seconds=seconds, env=environment(), check=False)
    except FleetError as error:
        reached[host] = {"ok": False, "said": error.what, "sudo_seconds": 0.0}
        return
    words = done.text.split()
    ok = done.code == 0 and len(words) == 2 and words[0] == "0"
    said = done.complaint or f"ended with {done.code} after {time.monotonic() - began:.1f} s"
    sudo_seconds = float(words[1]) if ok else 0.0
    reached[host] = {"ok": ok, "said": "" if ok else said, "sudo_seconds": sudo_seconds}
