"""`python -m tests.lab up|down`: a lab to work in by hand."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys

from .gitserver import GitServer
from .lab import DEFAULT_SUITES, NAME, Lab, hold, place_of
from .shell import LabError
from .sweep import leftovers, sweep
from .tools import require
from .tree import SUITES


def main() -> int:
    """Run one command; 0 when it did what was asked."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    parser.add_argument("--name", default=NAME, help="which lab (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="boot a lab and keep it until Ctrl-C")
    up.add_argument("--nodes", type=int, help="how many machines (default: one a suite)")
    up.add_argument(
        "--suites",
        default=",".join(DEFAULT_SUITES),
        help=f"systems by comma, repeated over the nodes, of {', '.join(SUITES)}",
    )
    commands.add_parser("down", help="remove what a killed lab left over")
    asked = parser.parse_args()
    try:
        if asked.command == "down":
            return _down(asked.name)
        return _up(asked.name, asked.suites.split(","), asked.nodes)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _up(name: str, suites: list[str], nodes: int | None) -> int:
    count = nodes or len(suites)
    chosen = [suites[index % len(suites)] for index in range(count)]
    with Lab(chosen, name) as lab, GitServer(lab) as git:
        for node in lab.nodes:
            print(f"{node.name}  {node.suite}  {node.address}  {node.address_v6}")
            print(f"    {shlex.join(node.ssh_argv())}")
        print(f"operator's side: {shlex.join(lab.operator_argv(['bash']))}")
        git.create("fleet-ops")
        print(f"git: {shlex.join(git.clone_argv('fleet-ops'))}")
        print(f"logs: {lab.logs}\nCtrl-C ends the lab.", flush=True)
        while True:
            signal.pause()


def _down(name: str) -> int:
    require()
    place = place_of(name)
    with hold(place, name):
        before = leftovers(name, place)
        sweep(name, place)
        after = leftovers(name, place)
    for line in before:
        print(("still there: " if line in after else "removed: ") + line)
    return 1 if after else 0


if __name__ == "__main__":
    sys.exit(main())
