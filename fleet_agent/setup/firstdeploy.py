"""Deploys bootstrap's commit through fleet-deploy on the orchestrator, followed over ssh.

The pipeline is the one of every later deploy; only the commit came another way.
"""

from __future__ import annotations

import json
from typing import Final

from fleet_agent import proc
from fleet_agent.limits import Limits
from fleet_agent.setup.bootstrap import Ready
from fleet_agent.setup.login import stream
from fleet_agent.setup.machines import orchestrator_of
from fleet_agent.setup.remote.venv import COMMAND
from fleet_agent.wire import DeployState

_ASK_SECONDS: Final = 60.0
# Behind a run there may be its way back, and before it one that is still going on.
_RUNS: Final = 3


def first_deploy(ready: Ready, *, quiet: bool) -> int:
    """Deploy the commit and show it live; 0 verified, 3 rolled back, 4 failed.

    With ``quiet`` it is only waited for: stdout belongs to a program. Raises NodeError when the
    orchestrator can't be reached.
    """
    login = orchestrator_of(ready.fleet).login
    words = [COMMAND, "deploy", "--ref", ready.ground.commit, "--no-fetch"]
    seconds = _RUNS * run_seconds(ready)
    if not quiet:
        return stream(login, words, seconds=seconds)
    return proc.run(login.command(*words), timeout_seconds=seconds, check=False).code


def runs_already(ready: Ready) -> bool:
    """Whether the newest deploy verified exactly this commit (dry runs don't count)."""
    login = orchestrator_of(ready.fleet).login
    asked = proc.run(
        login.command(COMMAND, "deploys", "--json"), timeout_seconds=_ASK_SECONDS, check=False
    )
    return asked.code == 0 and newest_is(asked.out, ready.ground.commit)


def newest_is(listed: bytes, commit: str) -> bool:
    """Whether in the JSON of ``fleet-agent deploys`` the newest real deploy verified ``commit``."""
    try:
        deploys = json.loads(listed)["deploys"]
        real = [one for one in deploys if one["kind"] != "check"]
        newest = max(real, key=lambda one: int(one["id"]), default=None)
        return (
            newest is not None
            and newest["state"] == DeployState.VERIFIED.value
            and newest["commit"] == commit
        )
    except (ValueError, KeyError, TypeError):
        return False


def run_seconds(ready: Ready) -> float:
    """How long one run of ansible-playbook may take in this fleet."""
    return Limits(ready.ground.registry.deploy.limits)["deploy_run_seconds"]
