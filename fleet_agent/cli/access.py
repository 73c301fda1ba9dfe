"""The options with which a person says how they log in; shared by bootstrap, promote and status."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace

from fleet_agent.setup import hostkeys, remembered, sshconfig
from fleet_agent.setup.git import WorkTree
from fleet_agent.setup.machines import Access, parse_users


def add_options(parser: argparse.ArgumentParser, default: str) -> None:
    """Declare --user, --identity and --ssh-option. ``default`` says who logs in without --user."""
    parser.add_argument(
        "--user",
        metavar="[HOST=]NAME",
        action="append",
        default=[],
        help=f"log in as this user (default: as at the bootstrap, else {default})",
    )
    parser.add_argument(
        "--identity", metavar="KEY", default="", help="private ssh key to log in with"
    )
    parser.add_argument(
        "--ssh-option",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="as ssh's -o, for every connection from here, for example ProxyJump=root@192.0.2.1",
    )


def access_of(args: argparse.Namespace, tree: WorkTree) -> Access:
    """What the person says now, completed by what was remembered in the checkout."""
    said = Access(
        users=parse_users(args.user),
        identity=os.path.abspath(os.path.expanduser(args.identity)) if args.identity else "",
        options=tuple(args.ssh_option),
    )
    return completed(tree, said)


def completed(tree: WorkTree, said: Access) -> Access:
    """``said`` with what the checkout remembers, its pins, and the configuration for jumps."""
    way = remembered.merged(remembered.recall(tree), said)
    if not tree.exists:
        return way
    pins = (tree.path / hostkeys.FILE).absolute()
    return replace(
        way,
        known_hosts=str(pins) if pins.exists() else "",
        config=sshconfig.place(tree, way.identity, pins),
    )
