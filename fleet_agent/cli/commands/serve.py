"""``fleet-agent serve``: run a wizard's daemon. systemd calls it; a person may, with --config."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fleet_agent.errors import EXIT_OK

if TYPE_CHECKING:
    import argparse

    from fleet_agent.cli.output import Output
    from fleet_agent.services.origin import Origin


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``serve``."""
    parser.description = (
        "Run a wizard's daemon until SIGTERM: the gateway, on the orchestrator also the hook. "
        "SIGHUP takes settings and registry anew."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--wizard", metavar="NAME", help="a wizard of this node; its release holds the settings"
    )
    what.add_argument(
        "--config", metavar="FILE", help="outside a fleet: settings from FILE (see etc/daemon.yaml)"
    )
    parser.add_argument(
        "--root",
        metavar="DIR",
        help="where the node's directories lie (default: this code's, or /)",
    )


def quick(argv: Sequence[str], out: Output) -> int | None:
    """``serve --wizard NAME`` without argparse: what systemd calls, and start-up time counts."""
    # Imports make much and drop little: collecting among them costs 5 % of the start.
    gc.disable()
    if len(argv) == 2 and argv[0] == "--wizard":
        return _serve_wizard(argv[1], None, out)
    return None


def run(args: argparse.Namespace, out: Output) -> int:
    """Run the daemon. Raises FleetError when it can't start or its store broke."""
    if args.config is not None:
        from fleet_agent.services.origin import FileOrigin

        return _serve(FileOrigin(args.config), out)
    return _serve_wizard(args.wizard, args.root, out)


def _serve_wizard(wizard: str, root: str | None, out: Output) -> int:
    from fleet_agent.services.origin import ReleaseOrigin

    return _serve(ReleaseOrigin.find(wizard, root), out)


def _serve(origin: Origin, out: Output) -> int:
    import logging

    from fleet_agent.cli import logs
    from fleet_agent.services.agent import Agent

    if not out.verbose:  # else the frame has set it up
        logs.to_stderr(logging.INFO)
    agent = Agent(origin, os.environ)
    # What is here now stays: the collector need never look at it again.
    gc.freeze()
    gc.enable()
    agent.run()
    return EXIT_OK
