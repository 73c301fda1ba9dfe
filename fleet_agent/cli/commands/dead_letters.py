"""``fleet-agent dead-letters``: what could not be delivered; send it once more, or drop it."""

from __future__ import annotations

import argparse
from typing import Any

from fleet_agent.cli import localagent
from fleet_agent.cli.output import Output
from fleet_agent.client import Client
from fleet_agent.errors import EXIT_OK, ConfigError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List the messages that could not be delivered, with their reasons; send some once more, "
        "with a new time to live; or drop them."
    )
    parser.add_argument("what", nargs="?", choices=("list", "retry", "drop"), default="list")
    parser.add_argument(
        "number", nargs="*", type=int, metavar="NUMBER", help="as the list shows them"
    )
    parser.add_argument("--all", action="store_true", help="retry or drop all of them")
    localagent.configure(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    client = localagent.client(args)
    if args.what == "list":
        return _list(client, out)
    if bool(args.number) == args.all:
        raise ConfigError(f"{args.what} which?", mend="give their numbers, or --all")
    numbers = [one["number"] for one in _everything(client)] if args.all else args.number
    for number in numbers:
        (client.retry if args.what == "retry" else client.drop)(number)
    done = "sent once more" if args.what == "retry" else "dropped"
    if out.json:
        out.value({args.what: numbers})
    out.line(f"{len(numbers)} {done}")
    return EXIT_OK


def _list(client: Client, out: Output) -> int:
    found = _everything(client)
    if out.json:
        out.value({"dead_letters": found})
        return EXIT_OK
    if not found:
        out.line("no dead letters")
        return EXIT_OK
    rows = [
        (str(one["number"]), one["to"], one["message"]["type"], one["dead_at"], one["id"],
         one["reason"])
        for one in found
    ]  # fmt: skip
    out.table(("NUMBER", "TO", "TYPE", "DEAD SINCE", "ID", "REASON"), rows)
    return EXIT_OK


def _everything(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while more := client.dead_letters(found[-1]["number"] if found else 0):
        found += more
    return found
