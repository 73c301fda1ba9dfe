"""Where fleet-deploy is asked: at its socket here, or by the same command on the orchestrator."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fleet_agent import proc
from fleet_agent.deploy.client import SOCKET_VARIABLE, socket_path
from fleet_agent.errors import CouldNotLook

if TYPE_CHECKING:
    import argparse

    from fleet_agent.registry.schema import Wizard

REGISTRY_FILE: Final = "fleet.yaml"
_CONNECT_SECONDS: Final = 10
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

    wizard = open_registry(choose(REGISTRY_FILE)).orchestrator
    running = proc.start(
        [*ssh_words(wizard, [*words, "--json"] if json else words)], out=None, err=None
    )
    try:
        code = running.wait()
    except BaseException:
        proc.end(running)
        raise
    if code == _SSH_FAILED:
        raise CouldNotLook(
            f"ssh did not reach the orchestrator {wizard.name}",
            where=wizard.host,
            mend=f"try: ssh {wizard.host} true",
        )
    return code


def ssh_words(wizard: Wizard, words: Sequence[str]) -> list[str]:
    """The command line that runs ``fleet-agent WORDS`` on the machine of ``wizard``."""
    ssh = wizard.ssh
    options = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECT_SECONDS}"]
    if ssh.port != 22:
        options += ["-p", str(ssh.port)]
    if ssh.proxy_jump:
        options += ["-J", ssh.proxy_jump]
    target = f"{ssh.user}@{wizard.host}" if ssh.user else wizard.host
    # ssh joins words with blanks and the other side's shell takes them apart again.
    return ["ssh", *options, "--", target, shlex.join(["fleet-agent", *words])]
