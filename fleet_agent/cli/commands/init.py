"""``fleet-agent init``: make a fleet-ops repository, or renew its pin."""

from __future__ import annotations

import argparse
from pathlib import Path

from fleet_agent.cli.output import Output
from fleet_agent.errors import EXIT_OK, ConfigError
from fleet_agent.setup import fleetops, wheel
from fleet_agent.setup import init as making
from fleet_agent.setup.target import parse_target


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("directory", metavar="DIR", type=Path, help="where the repository shall be")
    parser.add_argument(
        "machines",
        metavar="[USER@]HOST[:PORT]",
        nargs="*",
        help="the fleet's machines; the first is the orchestrator. "
        "USER (default: root) is who bootstrap logs in as",
    )
    parser.add_argument(
        "--pin",
        action="store_true",
        help="in a repository that is there: pin this fleet-agent, and change nothing else",
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Make it, or say that there is nothing to do."""
    targets = [parse_target(text) for text in args.machines]
    if args.pin:
        if targets:
            raise ConfigError("--pin takes no machines", mend="add machines in fleet.yaml")
        made = making.renew_pin(args.directory, wheel.build())
    else:
        made = making.init(args.directory, targets, wheel.build())
    if out.json:
        out.value(
            {
                "directory": str(made.directory),
                "changed": bool(made.commit),
                "commit": made.commit or None,
                "files": list(made.files),
                "fleet_agent": made.pinned,
                "notes": list(made.notes),
            }
        )
        return EXIT_OK
    if not made.commit:
        what = f"pins fleet-agent {made.pinned}" if args.pin else "is a fleet-ops repository"
        out.line(f"{made.directory} already {what}: nothing to do")
    elif args.pin:
        out.line(f"{made.directory} now pins fleet-agent {made.pinned} (commit {made.commit[:12]})")
        out.line("To deploy it: fleet-agent promote")
    else:
        _tell_made(made, [target.user for target in targets], out)
        out.line(f"    cd {made.directory} && {fleetops.bootstrap_line(targets)}")
    for note in made.notes:
        out.line(note)
    if targets and not made.commit:
        out.line("machines are added in fleet.yaml; what was named here was not looked at")
    return EXIT_OK


def _tell_made(made: making.Made, users: list[str], out: Output) -> None:
    out.line(f"{made.directory}: {len(made.files)} files, commit {made.commit[:12]} on main")
    out.line()
    if not users:
        out.line("No machines were named, so fleet.yaml has three examples: put your own there.")
    out.line("Read fleet.yaml and souls/ (two minutes; README.md has the next steps), then:")
