"""``fleet-agent send``: put one message on its way."""

from __future__ import annotations

import argparse

from fleet_agent.cli import localagent
from fleet_agent.cli.output import Output
from fleet_agent.errors import EXIT_OK
from fleet_agent.wire import BROADCAST, MessageType


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Send a message over this wizard's own daemon. It is on disk when the command ends, and "
        "is delivered whenever its receiver is there; `fleet-agent message ID` tells how far it is."
    )
    parser.add_argument("to", metavar="TO", help="a wizard, '*', or capability:NAME")
    parser.add_argument(
        "payload", metavar="PAYLOAD", help="JSON, or else a text; - reads it from stdin"
    )
    parser.add_argument(
        "--type",
        choices=[kind.value for kind in MessageType],
        help="default: broadcast to '*', else request",
    )
    parser.add_argument("--id", metavar="ID", help="your own id: sent twice, it arrives once")
    parser.add_argument("--in-reply-to", metavar="ID", help="the request that a response answers")
    parser.add_argument("--ttl", type=float, metavar="SECONDS", help="give up after this")
    localagent.configure(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    kind = args.type or (MessageType.BROADCAST if args.to == BROADCAST else MessageType.REQUEST)
    sent = localagent.client(args).send(
        args.to, localagent.payload(args.payload), type=kind, id=args.id,
        in_reply_to=args.in_reply_to, ttl=args.ttl,
    )  # fmt: skip
    if out.json:
        out.value(sent._asdict())
    out.line(f"{sent.id} {sent.status}")
    return EXIT_OK
