"""``fleet-agent rollback``: return the fleet to the previous verified release."""

from __future__ import annotations

import argparse
import os

from fleet_agent.cli import orchestrator
from fleet_agent.cli.following import follow
from fleet_agent.cli.output import Output
from fleet_agent.deploy import protocol, told
from fleet_agent.deploy.client import Client, socket_path
from fleet_agent.errors import EXIT_OK


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Deploy the commit that was verified before the present one, from what the orchestrator "
        "has: neither forge nor network is needed. Again goes one further back. Exit code 0 "
        "verified, 3 rolled back (to the present one), 4 failed."
    )
    parser.add_argument("--no-follow", action="store_true", help="only queue it")
    orchestrator.configure(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    words = ["rollback", "--no-follow"] if args.no_follow else ["rollback"]
    code = orchestrator.elsewhere(args.socket, words, out.json)
    if code is not None:
        return code
    client = Client(socket_path(args.socket, os.environ))
    answer = client.ask(protocol.ROLLBACK)
    queued = answer["deploy"]
    out.note(f"deploy {queued['id']} goes back to what deploy {answer['back_to']} verified")
    if args.no_follow:
        out.value({"deploy": queued}) if out.json else out.line(told.state_line(queued))
        return EXIT_OK
    return follow(client, int(queued["id"]), out)
