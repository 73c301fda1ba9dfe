"""fleet-deploy as a process, with a pipeline that only writes down what it was asked to run."""

from __future__ import annotations

import json
import os
import sys
import time

from fleet_agent.deploy import live
from fleet_agent.deploy.paths import DeployPaths
from fleet_agent.deploy.verdict import Outcome
from fleet_agent.deploy.work import Work
from fleet_agent.errors import ConfigError
from fleet_agent.services.deploy import DeployService, Ended, end_on_signals
from fleet_agent.wire import DeployState

PLACE = sys.argv[1]


def note(name: str, work: Work) -> None:
    with open(os.path.join(PLACE, name), "a") as file:
        file.write(work.entry.commit + "\n")


def behaviour() -> str:
    with open(os.path.join(PLACE, "behaviour")) as file:
        return file.read().strip()


def event(work: Work, phase: str) -> None:
    told = {"t": time.time(), "event": "start", "phase": phase, "host": "192.0.2.10"}
    with open(os.path.join(work.directory, live.FILES[1]), "a") as file:
        file.write(json.dumps({**told, "mode": "forward"}) + "\n")
    work.tell({**told, "mode": "forward"})


def execute(work: Work) -> Outcome:
    assert os.listdir(work.tree)
    note("checked" if work.entry.kind == "check" else "ran", work)
    how = behaviour()
    if how == "error":
        raise ConfigError("refused by the stand-in", where=os.path.join(work.tree, "fleet.yaml"))
    event(work, "preflight")
    event(work, "deploy")
    if how == "mid":
        raise ConfigError("broke in mid-run")
    if how == "bug":
        raise ZeroDivisionError("a bug of the stand-in")
    while behaviour() == "wait":
        time.sleep(0.01)
    if how == "unsure":
        return Outcome(DeployState.FAILED, "lost a node", {"unconfirmed": ["192.0.2.11"]})
    if how.startswith("seen "):
        seen = {"touched": [], "seen": int(how.removeprefix("seen "))}
        return Outcome(DeployState.FAILED, "a node refused the number", seen)
    how = behaviour()
    touched = {"touched": ["192.0.2.10"], "unconfirmed": []}
    return Outcome(DeployState(how), f"the stand-in says {how}", touched)


def recover(work: Work) -> Outcome | None:
    if behaviour() == "nothing-began":
        with open(os.path.join(PLACE, "behaviour"), "w") as file:
            file.write("verified")
        return None
    note("recovered", work)
    return Outcome(DeployState.ROLLED_BACK, "was ended in mid-deploy; put back", {})


def main() -> None:
    paths = DeployPaths(
        os.path.join(PLACE, "state"),
        os.path.join(PLACE, "root"),
        os.path.join(PLACE, "deploy.sock"),
    )
    end_on_signals()
    stale = os.path.join(PLACE, "stale")
    try:
        DeployService(paths, execute, recover, lambda: os.path.exists(stale)).run(
            None, lambda: None
        )
    except Ended:
        sys.exit(0)


main()
