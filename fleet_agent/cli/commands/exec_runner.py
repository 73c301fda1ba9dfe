"""``fleet-agent exec-runner``: run a wizard's handlers for its daemon, as the wizard's own user."""

from __future__ import annotations

import argparse
import logging
import os

from fleet_agent.cli import logs
from fleet_agent.cli.output import Output
from fleet_agent.errors import EXIT_OK
from fleet_agent.services.origin import FileOrigin, Origin, ReleaseOrigin
from fleet_agent.services.runner import ExecRunner


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``exec-runner``."""
    parser.description = (
        "Run the programs that the release declares as a wizard's handlers, each in a box of its "
        "own, for the wizard's daemon alone. systemd starts it at the first use of its socket; "
        "beside `serve --config FILE` a person starts it with the same file."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--wizard", metavar="NAME", help="a wizard of this node")
    what.add_argument("--config", metavar="FILE", help="outside a fleet: settings from FILE")
    parser.add_argument("--root", metavar="DIR", help="where the node's directories lie")
    parser.add_argument(
        "--delegated", action="store_true",
        help="this unit's part of the cgroup tree is ours (Delegate=yes)",
    )  # fmt: skip


def run(args: argparse.Namespace, out: Output) -> int:
    """Run until SIGTERM. Raises FleetError when it can't start."""
    if not out.verbose:
        logs.to_stderr(logging.INFO)
    origin: Origin
    if args.config is not None:
        origin = FileOrigin(args.config)
    else:
        origin = ReleaseOrigin.find(args.wizard, args.root)
    ExecRunner(origin, os.environ, delegated=args.delegated).run()
    return EXIT_OK
