"""``fleet-agent ask``: send a request and wait for its response."""

from __future__ import annotations

import argparse
import json

from fleet_agent.cli import localagent
from fleet_agent.cli.output import Output
from fleet_agent.errors import EXIT_OK


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Send a request and print the payload of its response. Exit code 4 when none came in time, "
        "or when the request became a dead letter."
    )
    parser.add_argument("to", metavar="WIZARD", help="a wizard, or capability:NAME")
    parser.add_argument(
        "payload", metavar="PAYLOAD", help="JSON, or else a text; - reads it from stdin"
    )
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="SECONDS", help="wait this long (30)"
    )
    localagent.configure(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    client = localagent.client(args, patience=min(10.0, args.timeout))
    answer = client.ask(args.to, localagent.payload(args.payload), timeout=args.timeout)
    if out.json:
        out.value(answer._asdict())
    said = answer.payload
    out.line(said if isinstance(said, str) else json.dumps(said, ensure_ascii=False))
    return EXIT_OK
