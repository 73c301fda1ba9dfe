"""``fleet-agent dead-letters``: what was given up, both ways; try it once more, or drop it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from fleet_agent.cli import localagent
from fleet_agent.cli.output import Output
from fleet_agent.client import Client
from fleet_agent.errors import EXIT_OK, ConfigError
from fleet_agent.wire import BOX_INBOX, BOX_OUTBOX

# Numbers of the two boxes say nothing of each other: those of the inbox are written "in7".
_IN: Final = "in"


class Name(NamedTuple):
    """How a person names a dead letter."""

    box: str
    number: int

    def __str__(self) -> str:
        return f"{_IN if self.box == BOX_INBOX else ''}{self.number}"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List the messages that could not be delivered, and those that came in and were handed "
        "out too often (in…), with their reasons; try some once more, or drop them."
    )
    parser.add_argument("what", nargs="?", choices=("list", "retry", "drop"), default="list")
    parser.add_argument(
        "number", nargs="*", type=_name, metavar="NUMBER", help="as the list shows them: 12, in7"
    )
    parser.add_argument("--all", action="store_true", help="retry or drop all of them")
    localagent.configure(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    client = localagent.client(args)
    if args.what == "list":
        return _list(client, out)
    if bool(args.number) == args.all:
        raise ConfigError(f"{args.what} which?", mend="give their numbers, or --all")
    names = [_name(one["name"]) for one in _everything(client)] if args.all else args.number
    for name in names:
        (client.retry if args.what == "retry" else client.drop)(name.number, box=name.box)
    if out.json:
        out.value({args.what: [str(name) for name in names]})
    out.line(f"{len(names)} {'tried once more' if args.what == 'retry' else 'dropped'}")
    return EXIT_OK


def _name(text: str) -> Name:
    number = text.removeprefix(_IN)
    if not (number.isascii() and number.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of a dead letter, like 12 or in7")
    return Name(BOX_INBOX if number != text else BOX_OUTBOX, int(number))


def _list(client: Client, out: Output) -> int:
    found = _everything(client)
    if out.json:
        out.value({"dead_letters": found})
        return EXIT_OK
    if not found:
        out.line("no dead letters")
        return EXIT_OK
    rows = [
        (one["name"], one["message"]["from"], one["message"]["to"], one["message"]["type"],
         one["dead_at"], one["id"], one["reason"])
        for one in found
    ]  # fmt: skip
    out.table(("NUMBER", "FROM", "TO", "TYPE", "DEAD SINCE", "ID", "REASON"), rows)
    return EXIT_OK


def _everything(client: Client) -> list[dict[str, Any]]:
    return [*_box(client, BOX_OUTBOX), *_box(client, BOX_INBOX)]


def _box(client: Client, box: str) -> Sequence[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while more := client.dead_letters(found[-1]["number"] if found else 0, box=box):
        found += more
    return [{"name": str(Name(box, one["number"])), "box": box, **one} for one in found]
