"""``fleet-agent message ID``: the whole life of a message, at its sender and at its receivers."""

from __future__ import annotations

import argparse
from typing import Any

from fleet_agent.cli import localagent
from fleet_agent.cli.output import Output
from fleet_agent.errors import EXIT_OK


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Tell what became of a message: accepted here, delivered to each receiver, handled there. "
        "The receivers' daemons are asked when you ask."
    )
    parser.add_argument("id", metavar="ID")
    parser.add_argument(
        "--from", dest="sender", metavar="WIZARD", help="a message that came in, and its sender"
    )
    localagent.configure(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    told = localagent.client(args).life(args.id, sender=args.sender)
    if out.json:
        out.value(told)
        return EXIT_OK
    out.line(f"{told['id']} from {told['from']}")
    if "received" in told:
        out.line(f"  here: {_got(told['received'])}")
        _answered(told, out)
        return EXIT_OK
    rows = [
        (one["to"], one["state"], one["accepted_at"], _settled(one), _there(one))
        for one in told["deliveries"]
    ]
    out.table(("TO", "STATE", "ACCEPTED", "SETTLED", "THERE"), rows)
    _answered(told, out)
    return EXIT_OK


def _answered(told: dict[str, Any], out: Output) -> None:
    if "response" in told:
        out.line(f"answered by {told['response']['from']}")


def _settled(one: dict[str, Any]) -> str:
    found = one.get("delivered_at") or one.get("dead_at") or f"until {one.get('expires_at', '?')}"
    return str(found)


def _there(one: dict[str, Any]) -> str:
    if "reason" in one:
        return str(one["reason"])
    if "receiver" not in one:
        return "not yet"
    there: dict[str, Any] = one["receiver"]
    return f"unknown: {there['unknown']}" if "unknown" in there else _got(there)


def _got(got: dict[str, Any]) -> str:
    words = [str(got["state"])]
    for key in (
        "received_at",
        "leased_until",
        "not_before",
        "handled_at",
        "dead_at",
        "reason",
        "last_failure",
    ):
        if key in got:
            words.append(f"{key.replace('_', ' ')} {got[key]}")
    if got.get("attempts"):
        words.append(f"{got['attempts']} attempts")
    return ", ".join(words)
