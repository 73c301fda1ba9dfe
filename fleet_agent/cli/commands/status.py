"""``fleet-agent status``: ssh, health and release of every wizard, at a glance."""

from __future__ import annotations

import argparse
import os
import shutil
from dataclasses import replace
from pathlib import Path

from fleet_agent.cli import access, fleettable, localagent
from fleet_agent.cli.output import Output
from fleet_agent.deploy import protocol
from fleet_agent.deploy.client import Client, socket_path
from fleet_agent.errors import CouldNotLook, FleetError
from fleet_agent.limits import Limits
from fleet_agent.observe import sight, snapshot, trust
from fleet_agent.observe.sight import FleetSnapshot
from fleet_agent.registry import parse
from fleet_agent.setup.fleetops import REGISTRY
from fleet_agent.setup.git import WorkTree
from fleet_agent.setup.machines import machines

_NARROWEST, _WIDEST = 80, 120
# More than the service itself takes at worst: ssh, http, and ssh again, a status_seconds each.
_SERVICE_SECONDS = 300.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--registry",
        metavar="FILE",
        type=Path,
        help="look from here at this fleet.yaml (default: ask fleet-deploy on the orchestrator; "
        "elsewhere, ./fleet.yaml)",
    )
    parser.add_argument(
        "--ca",
        metavar="FILE",
        help="the fleet's CA, where wizards speak TLS (default: read from the orchestrator's "
        "node; `fleet-agent tls ca` prints it)",
    )
    access.add_options(parser, "as ssh's configuration says")
    parser.epilog = "exit code: 0 all well, 10 something is not, 11 could not look"


def run(args: argparse.Namespace, out: Output) -> int:
    """Look, and show it."""
    seen = look(args)
    show(seen, out)
    return seen.exit_code


def show(seen: FleetSnapshot, out: Output) -> None:
    """Write the snapshot, as JSON or as a table of the terminal's width."""
    if out.json:
        out.value(seen.to_value())
        return
    width = None
    if out.is_terminal:
        width = max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns))
    for line in fleettable.lines(seen, width, out.paint):
        out.line(line)


def look(args: argparse.Namespace) -> FleetSnapshot:
    """The fleet as fleet-deploy sees it, or as it is seen from here. Raises CouldNotLook."""
    path = socket_path(None, os.environ)
    if args.registry is None and os.path.exists(path):
        return _by_service(path)
    file: Path = args.registry or Path(REGISTRY)
    if args.registry is None and not file.exists():
        raise CouldNotLook(
            "here is neither a fleet.yaml nor fleet-deploy's socket",
            where=os.getcwd(),
            mend="run it in a fleet-ops checkout or on the orchestrator, or name --registry FILE",
        )
    return from_here(args, file)


def _by_service(path: str) -> FleetSnapshot:
    try:
        answer = Client(path).ask(protocol.STATUS, seconds=_SERVICE_SECONDS)
    except FleetError as error:
        raise CouldNotLook(error.what, where=error.where or path, mend=error.mend) from error
    return sight.from_value(answer)


def from_here(args: argparse.Namespace, file: Path) -> FleetSnapshot:
    """Look at the fleet of ``file`` with the caller's own ssh keys."""
    try:
        registry = parse.load(str(file))
    except FleetError as error:
        mistakes = "".join(f"\n  {mistake}" for mistake in getattr(error, "mistakes", ()))
        raise CouldNotLook(
            f"the registry can't be read: {error.what}{mistakes}",
            where=error.where or str(file),
            mend=error.mend or f"fleet-agent registry check {file}",
        ) from error
    limits = Limits(registry.deploy.limits)
    way = replace(
        access.access_of(args, WorkTree(file.resolve().parent)),
        connect_seconds=snapshot.connect_seconds(limits),
        default_user="",
    )
    argv = {
        name: machine.login.argv()
        for machine in machines(registry, way)
        for name in machine.wizards
    }
    first = registry.orchestrator

    def authorities() -> str:
        if args.ca:
            return localagent.read_text(args.ca)
        return trust.from_node(argv[first.name], first, 2 * limits["status_seconds"])

    return snapshot.look(
        registry, lambda wizard: argv[wizard.name], limits, authorities=authorities
    )
