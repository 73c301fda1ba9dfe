"""`python -m fleet_agent.setup.supervisor --root DIR run`, or `… systemctl show UNIT` to ask it."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys

from fleet_agent.errors import FleetError
from fleet_agent.setup.supervisor import call
from fleet_agent.setup.supervisor.server import Server
from fleet_agent.setup.supervisor.start import end_with_parent


def main() -> int:
    """Supervise a folder, or ask the one who does."""
    parser = argparse.ArgumentParser(
        prog="python -m fleet_agent.setup.supervisor",
        description="The demo's stand-in for systemd: one folder is one node.",
    )
    parser.add_argument("--root", required=True, help="the node's folder")
    parser.add_argument("--env", action="append", default=[], help="NAME=VALUE for every unit")
    parser.add_argument("--tied", action="store_true", help="end when the starter ends")
    parser.add_argument("words", nargs=argparse.REMAINDER, help="run, or a line to answer")
    asked = parser.parse_args()
    words = asked.words or ["run"]
    if words != ["run"]:
        sys.argv = [sys.argv[0], asked.root, *words]
        return call.main()
    if asked.tied:
        end_with_parent(signal.SIGTERM)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    os.makedirs(asked.root, exist_ok=True)
    env = dict(pair.split("=", 1) for pair in asked.env)
    try:
        asyncio.run(_serve(asked.root, env))
    except FleetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


async def _serve(root: str, env: dict[str, str]) -> None:
    await Server(root, env).serve()


if __name__ == "__main__":
    sys.exit(main())
