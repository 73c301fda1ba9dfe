"""wrk as the load: requests of a file over many connections, for some seconds.

Not for what is in the requests (``requests``).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.bench.bus.requests import Requests

_SCRIPT = Path(__file__).with_name("signed.lua")
_TIMEOUT = "30s"


class Seen(NamedTuple):
    """What wrk saw: answers a second, latencies in ms."""

    answered: int
    per_s: float
    p50_ms: float
    p99_ms: float


def installed() -> bool:
    """Whether wrk is here."""
    return shutil.which("wrk") is not None


def load(url: str, connections: int, seconds: int, requests: Requests) -> Seen:
    """Send ``requests`` to ``url``, each once. Raises SystemExit when one was not taken."""
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", _TIMEOUT,
         "-s", str(_SCRIPT), url, "--", str(requests.path), str(requests.size)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    said = json.loads(done.stdout.splitlines()[-1])
    if said["refused"] or said["broken"]:
        raise SystemExit(f"not all was taken: {said}\n{done.stdout}")
    if said["answered"] + connections >= requests.count:
        raise SystemExit(f"{requests.count} requests were too few for {seconds} s")
    return Seen(said["answered"], said["answered"] / said["seconds"], said["p50_ms"],
                said["p99_ms"])  # fmt: skip
