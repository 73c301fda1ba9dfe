"""Confirms a verified deploy on its nodes, over connections of their own, all at once.

A new connection (``ControlPath=none``) is the point: a node that the deploy cut off must not be
confirmed over the connection that was open before. Each node's answer is its acknowledgement.
"""

from __future__ import annotations

import logging
import shlex
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Self

from fleet_agent import proc
from fleet_agent.deploy.ansible import Ways, ssh_options
from fleet_agent.deploy.hosttask import answer, spec
from fleet_agent.deploy.plan import NodePlan, Plan
from fleet_agent.deploy.progress import Failure
from fleet_agent.errors import FleetError
from fleet_agent.node import command

_log = logging.getLogger("fleet_agent.deploy")

CONFIRM = "confirm"
# A confirmation is a line; whoever says much more is not the node's own code.
_MOST_BYTES = 1024 * 1024


def confirm_argv(ways: Ways, plan: Plan, node: NodePlan) -> list[str]:
    """The command that confirms on ``node``: over ssh, or straight where the node is a folder."""
    remote = command.confirm(plan.pyz_sha256, node.layout)
    if node.connection == "local":
        return remote
    if node.user != "root":
        remote = ["sudo", "-n", "--", *remote]
    jump = ["-o", f"ProxyJump={node.proxy_jump}"] if node.proxy_jump else []
    return [
        "ssh",
        *ssh_options(ways, plan),
        "-o", "ControlMaster=no",
        "-o", "ControlPath=none",
        *jump,
        "-i", ways.ssh_key,
        "-p", str(node.port),
        "-l", node.user,
        "--",
        node.host.strip("[]"),
        shlex.join(remote),
    ]  # fmt: skip


class Connections:
    """The connections that one deploy is confirmed over.

    Opening one takes a key exchange, which is most of a confirmation: ``open`` may be called as
    soon as nothing of the run changes a node any more, and what is opened then waits for the word.
    """

    def __init__(self, ways: Ways, plan: Plan) -> None:
        self._ways, self._plan = ways, plan
        self._opened: dict[str, proc.Running] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for running in self._opened.values():
            proc.end(running)

    def open(self, hosts: Iterable[str]) -> None:
        """Open a connection to each of ``hosts``; what can't be started is tried again later."""
        for host in sorted(set(hosts) - set(self._opened)):
            argv = confirm_argv(self._ways, self._plan, self._plan.node(host))
            try:
                self._opened[host] = proc.start(argv, stdin=True)
            except FleetError as error:
                _log.warning("deploy %d: %s: %s", self._plan.deploy, host, error)

    def confirm(self, hosts: Iterable[str]) -> tuple[tuple[str, ...], tuple[Failure, ...]]:
        """Confirm every one of ``hosts``; returns those that acknowledged, and the failures."""
        silent = {"what": "was not confirmed, by a mistake in fleet-agent (see its log)"}
        # Whatever ends a thread: who did not acknowledge has failed.
        answers: dict[str, Failure | None] = {host: _failure(host, silent) for host in hosts}

        def one(host: str) -> None:
            answers[host] = self._confirm(self._plan.node(host))

        threads = [
            threading.Thread(target=one, args=(host,), daemon=True) for host in sorted(answers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        confirmed = tuple(host for host, failure in answers.items() if failure is None)
        return confirmed, tuple(failure for failure in answers.values() if failure is not None)

    def _confirm(self, node: NodePlan) -> Failure | None:
        line = spec(self._plan, node, now=time.time(), manifest=None)
        argv = confirm_argv(self._ways, self._plan, node)
        try:
            done = proc.finish(
                self._connection(node.host, argv),
                argv,
                timeout_seconds=2 * self._plan.limits["deploy_connect_seconds"] + 5,
                stdin=line,
                check=False,
                most_bytes=_MOST_BYTES,
            )
        except FleetError as error:
            return _failure(node.host, {"what": error.what, "where": error.where})
        out, err = (text.decode("utf-8", "replace") for text in (done.out, done.err))
        said = answer(CONFIRM, done.code, out, err)
        return None if said.ok else _failure(node.host, said.error or {})

    def _connection(self, host: str, argv: list[str]) -> proc.Running:
        """The one that was opened, if it still waits; else a new one."""
        opened = self._opened.pop(host, None)
        if opened is not None and opened.poll() is None:
            return opened
        if opened is not None:
            proc.end(opened)
        return proc.start(argv, stdin=True)


def _failure(host: str, error: Mapping[str, Any]) -> Failure:
    return Failure(
        host=host,
        phase=CONFIRM,
        task="Confirm over a new connection",
        what=str(error.get("what") or "no answer"),
        where=str(error.get("where") or ""),
        mend=str(error.get("mend") or ""),
    )
