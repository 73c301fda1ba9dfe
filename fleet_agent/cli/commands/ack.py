"""``fleet-agent ack ID RECEIPT``: a message that was handed out is handled."""

from __future__ import annotations

import argparse

from fleet_agent.cli import localagent
from fleet_agent.cli.output import Output
from fleet_agent.errors import EXIT_OK


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Say that a message which `fleet-agent inbox` handed out is handled: it never comes again."
    )
    parser.add_argument("id", metavar="ID")
    parser.add_argument("receipt", metavar="RECEIPT", help="as it came with the message")
    localagent.configure(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    said = localagent.client(args).settle(args.id, args.receipt, "ack")
    if out.json:
        out.value(said)
    out.line(f"{args.id} {said['status']}")
    return EXIT_OK
