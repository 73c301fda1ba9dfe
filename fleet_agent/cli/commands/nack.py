"""``fleet-agent nack ID RECEIPT``: a message that was handed out could not be handled."""

from __future__ import annotations

import argparse

from fleet_agent.cli import localagent
from fleet_agent.cli.output import Output
from fleet_agent.errors import EXIT_OK


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Give a message back which `fleet-agent inbox` handed out: it comes again, at once or "
        "after --delay; after inbox_attempts times it becomes a dead letter."
    )
    parser.add_argument("id", metavar="ID")
    parser.add_argument("receipt", metavar="RECEIPT", help="as it came with the message")
    parser.add_argument(
        "--delay", type=float, default=0.0, metavar="SECONDS", help="hand it out after this (0)"
    )
    parser.add_argument("--reason", default="", metavar="TEXT", help="why, for people")
    localagent.configure(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    said = localagent.client(args).settle(
        args.id, args.receipt, "nack", delay=args.delay, reason=args.reason
    )
    if out.json:
        out.value(said)
    out.line(f"{args.id} {said['status']}")
    return EXIT_OK
