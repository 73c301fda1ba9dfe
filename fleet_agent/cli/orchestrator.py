"""Where fleet-deploy is asked: at its socket here, or by the same command on the orchestrator."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from fleet_agent import proc
from fleet_agent.deploy.client import SOCKET_VARIABLE, socket_path
from fleet_agent.errors import CouldNotLook

if TYPE_CHECKING:
    import argparse

    from fleet_agent.registry.schema import Registry

REGISTRY_FILE: Final = "fleet.yaml"
COMMAND: Final = "fleet-agent"
# ssh says so when it could not connect at all; anything else is the command's own code.
_SSH_FAILED: Final = 255


def configure(parser: argparse.ArgumentParser) -> None:
    """The option that all commands have which ask fleet-deploy."""
    parser.add_argument(
        "--socket",
        metavar="PATH",
        help=f"fleet-deploy's socket (default: ${SOCKET_VARIABLE}, else its place on the "
        "orchestrator; elsewhere, beside a fleet.yaml, the orchestrator is asked over ssh)",
    )


def elsewhere(given: str | None, words: Sequence[str], json: bool) -> int | None:
    """Run ``fleet-agent WORDS`` on the orchestrator, if this is not it; its exit code, else None.

    Raises CouldNotLook when ssh does not get there, and what reading fleet.yaml raises.
    """
    path = socket_path(given, os.environ)
    named = given is not None or SOCKET_VARIABLE in os.environ
    if named or os.path.exists(path) or not os.path.isfile(REGISTRY_FILE):
        return None
    from fleet_agent.registry.source import choose, open_registry

    registry = open_registry(choose(REGISTRY_FILE))
    argv = ssh_words(registry, os.getcwd(), [*words, "--json"] if json else words)
    running = proc.start(argv, out=None, err=None)
    try:
        code = running.wait()
    except BaseException:
        proc.end(running)
        raise
    if code == _SSH_FAILED:
        wizard = registry.orchestrator
        raise CouldNotLook(
            f"ssh did not reach the orchestrator {wizard.name}",
            where=wizard.host,
            mend=f"try: ssh {wizard.host} true",
        )
    return code


def ssh_words(registry: Registry, checkout: str, words: Sequence[str]) -> list[str]:
    """The command line that runs ``fleet-agent WORDS`` on the orchestrator of ``registry``.

    Key, user, options and host keys are those of the bootstrap, where ``checkout`` remembers one;
    else ssh's own configuration says who logs in, and that account must be root's or a member's of
    the group fleet-agent.
    """
    from pathlib import Path

    from fleet_agent.cli import access
    from fleet_agent.setup.git import WorkTree
    from fleet_agent.setup.machines import Access, machines, orchestrator_of

    way = replace(access.completed(WorkTree(Path(checkout)), Access({})), default_user="")
    login = orchestrator_of(machines(registry, way)).login
    # A user whom the bootstrap knew may become root; another one is taken as it is.
    if login.user:
        return login.command(COMMAND, *words)
    return [*login.argv(), shlex.join([COMMAND, *words])]
