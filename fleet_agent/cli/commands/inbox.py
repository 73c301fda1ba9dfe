"""``fleet-agent inbox``: take the messages that came in, each by lease."""

from __future__ import annotations

import argparse
import json
from typing import Any

from fleet_agent.cli import localagent
from fleet_agent.cli.output import Output
from fleet_agent.client import Received
from fleet_agent.errors import EXIT_OK
from fleet_agent.wire import MessageType


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Take the messages that come next out of this wizard's inbox. Each is handed out for a "
        "while, and comes again unless it is acked in time: with --ack at once, else by "
        "`fleet-agent ack ID RECEIPT`. Of one sender there is one at a time."
    )
    parser.add_argument(
        "--wait", type=float, default=0.0, metavar="SECONDS",
        help="where there is none, wait for one (0; 20 at most)",
    )  # fmt: skip
    parser.add_argument("--limit", type=int, default=1, metavar="N", help="take up to N (1)")
    parser.add_argument(
        "--lease", type=float, metavar="SECONDS", help="hold each for this long (120)"
    )
    parser.add_argument(
        "--type", action="append", choices=[kind.value for kind in MessageType],
        help="only messages of this type; may be given several times",
    )  # fmt: skip
    parser.add_argument("--ack", action="store_true", help="say at once that they are handled")
    localagent.configure(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    client = localagent.client(args)
    found = client.inbox(wait=args.wait, limit=args.limit, lease=args.lease, types=args.type or ())
    if out.json:
        out.value({"messages": [_value(one) for one in found]})
    else:
        _show(found, out, acked=args.ack)
    if args.ack:
        for one in found:
            one.ack()
    return EXIT_OK


def _show(found: list[Received], out: Output, *, acked: bool) -> None:
    if not found:
        out.note("no messages")
    for one in found:
        message = one.message
        attempt = f", attempt {one.attempt}" if one.attempt > 1 else ""
        out.line(f"{one.id} {message.type} from {message.sender} at {one.received_at}{attempt}")
        said = message.payload
        out.line(f"  {said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)}")
        if not acked:
            out.line(f"  until {one.leased_until}: fleet-agent ack {one.id} {one.receipt}")


def _value(one: Received) -> dict[str, Any]:
    return {
        "id": one.id,
        "receipt": one.receipt,
        "attempt": one.attempt,
        "received_at": one.received_at,
        "leased_until": one.leased_until,
        "message": one.message._asdict(),
    }
