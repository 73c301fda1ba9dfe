"""``fleet-agent promote``: move the tag, push it and follow the deploy."""

from __future__ import annotations

import argparse
from pathlib import Path

from fleet_agent.cli import access
from fleet_agent.cli.output import Output
from fleet_agent.errors import EXIT_OK
from fleet_agent.limits import Limits
from fleet_agent.setup import promote
from fleet_agent.setup.git import work_tree
from fleet_agent.setup.login import Login, stream
from fleet_agent.setup.machines import machines, orchestrator_of
from fleet_agent.setup.promote import Promotion
from fleet_agent.setup.remote.venv import COMMAND

_RUNS = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Check the commit as a deploy would, push it to the branch if it is ahead of it, move the "
        "tag to it, and follow the deploy. Exit code 0 verified, 3 rolled back, 4 failed."
    )
    parser.add_argument("ref", metavar="REF", nargs="?", default="", help="default: HEAD")
    parser.add_argument(
        "--directory", metavar="DIR", type=Path, default=Path(), help="the fleet-ops checkout"
    )
    parser.add_argument("--tag", metavar="NAME", default="", help="default: deploy.tag, PROD")
    parser.add_argument("--no-follow", action="store_true", help="push, and do not wait")
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=float,
        default=30.0,
        help="how long the deploy may take to appear (default: 30)",
    )
    access.add_options(parser, "root")


def run(args: argparse.Namespace, out: Output) -> int:
    """Check, push, follow; the exit code is the deploy's."""
    tree = work_tree(args.directory)
    promotion = promote.prepare(tree, args.ref, args.tag)
    basis = promotion.ground
    login = orchestrator_of(machines(basis.registry, access.access_of(args, tree))).login
    before = 0 if args.no_follow else promote.newest(promote.deploys(login))
    pushed = promote.bring_branch(promotion)
    if pushed:
        out.line(f"pushed {basis.commit[:12]} to {basis.registry.deploy.branch}")
    moved = promote.move_tag(promotion)
    what = "moved" if moved else "was already at"
    out.line(f"tag {promotion.tag} {what} {basis.commit[:12]} at {promotion.remote}")
    out.flush()
    if args.no_follow:
        if out.json:
            said = {"commit": basis.commit, "tag": promotion.tag, "remote": promotion.remote}
            out.value({**said, "pushed": pushed, "moved": moved})
        return EXIT_OK
    # A tag that was there already has had its deploy; that one tells how the commit fares.
    number = promote.wait_for_deploy(login, promotion, before if moved else 0, args.wait)
    return _follow(login, promotion, number, out)


def _follow(login: Login, promotion: Promotion, number: int, out: Output) -> int:
    words = [COMMAND, "deploys", "follow", str(number), *(["--json"] if out.json else [])]
    run_seconds = Limits(promotion.ground.registry.deploy.limits)["deploy_run_seconds"]
    return stream(login, words, seconds=_RUNS * run_seconds)
