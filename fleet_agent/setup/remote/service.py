"""Starts the deploy pipeline on the orchestrator: what it watches, the webhook secret, its units.

Runs as root. After the first deploy the units belong to the release, and are left alone here.
"""

from __future__ import annotations

import glob
import json
import os
import secrets
from typing import Any, BinaryIO

from fleet_agent import proc
from fleet_agent.errors import FleetError, NodeError
from fleet_agent.setup.remote.ground import Steps, environment, file, read, run
from fleet_agent.setup.remote.orchestrator import PATHS, USER
from fleet_agent.setup.remote.venv import COMMAND, LINK

UNITS = ("fleet-deploy.socket", "fleet-deploy.service")
WEBHOOK_SECRET = "/etc/fleet-agent/hook/secret"  # noqa: S105 (its path)
FIRST = PATHS.first
CURRENT = PATHS.current
# Which environment the running fleet-deploy was started from.
STARTED_FROM = "/opt/fleet-agent/venvs/.started-from"


def main(given: dict[str, Any], payload: BinaryIO) -> dict[str, Any]:
    """``given``: ``repository``, ``tag``, ``branch``. Answers with a new ``secret``, or none."""
    steps = Steps()
    watched = {name: given[name] for name in ("repository", "tag", "branch")}
    text = json.dumps(watched, indent=2) + "\n"
    steps.note("what fleet-deploy watches", file(FIRST, text.encode(), 0o644, USER, USER))
    secret = webhook_secret()
    steps.note("webhook secret", bool(secret))
    placed = _place_units()
    steps.note("units of fleet-deploy", placed)
    steps.note("fleet-deploy runs", _start(reload=placed))
    return steps.answer(secret=secret)


def webhook_secret() -> str:
    """Make the webhook's secret and return it, or "" where there is one: it is shown only once."""
    if read(WEBHOOK_SECRET):
        file(WEBHOOK_SECRET, read(WEBHOOK_SECRET) or b"", 0o640, "root", "fleet-hook")
        return ""
    secret = secrets.token_hex(32)
    file(WEBHOOK_SECRET, secret.encode(), 0o640, "root", "fleet-hook")
    return secret


def _place_units() -> bool:
    """Copy the units from the environment's own package, until a release has placed its own."""
    if os.path.islink(CURRENT) and all(os.path.exists(f"/etc/systemd/system/{u}") for u in UNITS):
        return False
    found = glob.glob(f"{LINK}/lib/python3*/site-packages/fleet_agent/share/systemd")
    if not found:
        raise NodeError("has no unit files", where=LINK, mend="remove it and bootstrap again")
    changed = False
    for unit in UNITS:
        data = read(os.path.join(found[0], unit))
        if data is None:
            raise NodeError("the pinned fleet-agent has no such unit", where=unit)
        changed = file(f"/etc/systemd/system/{unit}", data, 0o644) or changed
    return changed


def _start(reload: bool) -> bool:
    """Start the units, or restart the service if it runs another environment than the current."""
    environment_now = os.readlink(LINK).encode()
    running = _running()
    if running and not reload and read(STARTED_FROM) == environment_now:
        return False
    if running:
        _must_be_idle()
    run("systemctl", "daemon-reload")
    run("systemctl", "enable", "--quiet", *UNITS)
    run("systemctl", "reset-failed", *UNITS)
    run("systemctl", "start", UNITS[0])
    run("systemctl", "restart", UNITS[1])
    file(STARTED_FROM, environment_now, 0o644)
    return True


def _must_be_idle() -> None:
    """Raises NodeError while a deploy runs: a restart would have it put back."""
    try:
        listed = json.loads(run(COMMAND, "deploys", "--json").out)["deploys"]
    except (FleetError, ValueError, KeyError, TypeError):
        return  # one that can't even be asked is not kept from being mended
    running = [str(one.get("id")) for one in listed if one.get("state") == "running"]
    if running:
        raise NodeError(
            f"deploy {running[0]} is running",
            mend="wait for its end (fleet-agent deploys follow), then run bootstrap again",
        )


def _running() -> bool:
    """Whether each of the units is active (asked about several, systemctl is content with one)."""
    return all(_is_active(unit) for unit in UNITS)


def _is_active(unit: str) -> bool:
    argv = ["systemctl", "is-active", "--quiet", unit]
    return proc.run(argv, timeout_seconds=30, env=environment(), check=False).code == 0
