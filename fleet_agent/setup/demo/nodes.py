"""The demo's nodes as processes: one supervisor each, and nothing that outlives the demo."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Final

from fleet_agent import proc
from fleet_agent.errors import NodeError, TryAgain
from fleet_agent.setup.demo import leftovers
from fleet_agent.setup.demo.ground import DemoNode, Ground, caller
from fleet_agent.setup.supervisor import call

PIPELINE: Final = ("fleet-deploy.socket", "fleet-deploy.service")
_UP_SECONDS: Final = 20.0
_END_SECONDS: Final = 20.0
_ASK_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.02


@contextmanager
def running(ground: Ground) -> Iterator[None]:
    """The supervisors of all nodes; at the end they, their units and every leftover are gone."""
    started = []
    try:
        for node in ground.nodes:
            with open(ground.logs / f"supervisor-{node.host}.log", "wb") as log:
                argv = [sys.executable, "-m", "fleet_agent.setup.supervisor"]
                argv += ["--root", str(node.root), "--tied", "run"]
                started.append(proc.start(argv, out=log, err=log))
        for node in ground.nodes:
            _await(node)
        yield
    finally:
        for process in started:
            process.terminate()
        limit = time.monotonic() + _END_SECONDS
        while any(one.poll() is None for one in started) and time.monotonic() < limit:
            time.sleep(_PAUSE_SECONDS)
        for process in started:
            proc.end(process)
        leftovers.end(ground.place)


def _await(node: DemoNode) -> None:
    limit = time.monotonic() + _UP_SECONDS
    while True:
        try:
            call.connect(str(node.root)).close()
        except OSError:
            if time.monotonic() > limit:
                raise TryAgain("its supervisor did not come up", where=str(node.root)) from None
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def systemctl(node: DemoNode, *words: str) -> str:
    """What ``systemctl WORDS`` says on ``node``. Raises ProcessError with its own complaint."""
    argv = [*caller(node.root), "systemctl", *words]
    return proc.run(argv, timeout_seconds=_ASK_SECONDS).text


def start_pipeline(ground: Ground) -> None:
    """Place fleet-deploy's units on the orchestrator's node and start them, as bootstrap does."""
    source = files("fleet_agent") / "share" / "systemd"
    node = ground.orchestrator
    for unit in PIPELINE:
        text = (source / unit).read_text(encoding="utf-8")
        (node.root / "etc/systemd/system" / unit).write_text(text, encoding="utf-8")
    systemctl(node, "daemon-reload")
    systemctl(node, "enable", *PIPELINE)
    try:
        systemctl(node, "start", *PIPELINE)
    except proc.ProcessError as error:
        said = proc.run(
            [*caller(node.root), "journalctl", "-u", PIPELINE[1], "-n", "20"],
            timeout_seconds=_ASK_SECONDS,
        )
        raise NodeError(f"{error.what}\n{said.text}", where=PIPELINE[1]) from error
