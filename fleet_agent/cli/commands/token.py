"""``fleet-agent token``: bearer tokens for people and scripts, each bound to one sender."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from fleet_agent.cli import orchestrator
from fleet_agent.cli.following import follow
from fleet_agent.cli.output import Output
from fleet_agent.deploy import protocol
from fleet_agent.deploy.client import Client, socket_path
from fleet_agent.errors import EXIT_OK, ConfigError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make, list or revoke bearer tokens. A token speaks in one name only: that is the `from` "
        "of its messages. It is shown once; the wizards get its hash, with a deploy of what the "
        "fleet runs."
    )
    parser.add_argument("what", choices=("create", "list", "revoke"))
    parser.add_argument(
        "subject", nargs="?", metavar="NAME|ID", help="create: who speaks; revoke: the token's id"
    )
    parser.add_argument(
        "--wizard", action="append", default=[], metavar="NAME",
        help="create: only this wizard takes it (may be repeated; default: every wizard)",
    )  # fmt: skip
    parser.add_argument("--no-follow", action="store_true", help="only queue the deploy")
    orchestrator.configure(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    if (args.what == "list") != (args.subject is None):
        raise ConfigError(
            f"token {args.what} takes {'no name' if args.what == 'list' else 'one name or id'}",
            mend="fleet-agent token --help",
        )
    if args.wizard and args.what != "create":
        raise ConfigError("--wizard is for create")
    code = orchestrator.elsewhere(args.socket, words_of(args), out.json)
    if code is not None:
        return code
    client = Client(socket_path(args.socket, os.environ))
    if args.what == "list":
        tokens = client.ask(protocol.TOKENS)["tokens"]
        if out.json:
            out.value({"tokens": tokens})
        else:
            out.table(("ID", "SPEAKS AS", "TO", "MADE", "BY"), rows(tokens))
        return EXIT_OK
    if args.what == "create":
        answer = client.ask(
            protocol.TOKEN_CREATE, principal=args.subject, wizards=list(args.wizard)
        )
        if out.json:
            out.value({"token": answer["token"], "entry": answer["entry"]})
        else:
            out.line(answer["token"])
        out.note(f"token {answer['entry']['id']} of {args.subject}: it is not shown again")
    else:
        answer = client.ask(protocol.TOKEN_REVOKE, id=args.subject)
        entry = answer["entry"]
        if out.json:
            out.value({"entry": entry})
        out.note(f"token {entry['id']} of {entry['principal']} is revoked")
    out.flush()
    return _placed(client, answer["deploy"], args.no_follow, out)


def _placed(client: Client, queued: Mapping[str, Any] | None, no_follow: bool, out: Output) -> int:
    if queued is None:
        out.note("nothing was deployed yet: the first deploy places it")
        return EXIT_OK
    out.note(f"deploy {queued['id']} tells the wizards")
    return EXIT_OK if no_follow else follow(client, int(queued["id"]), out)


def words_of(args: argparse.Namespace) -> list[str]:
    """The same command for another machine."""
    words = ["token", args.what, *([args.subject] if args.subject is not None else [])]
    for name in args.wizard:
        words += ["--wizard", name]
    return [*words, "--no-follow"] if args.no_follow else words


def rows(tokens: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """A row a token."""
    return [
        (
            str(one["id"]), str(one["principal"]), ", ".join(one["wizards"]) or "every wizard",
            time.strftime("%Y-%m-%d", time.gmtime(one["created_at"])), str(one["created_by"]),
        )
        for one in tokens
    ]  # fmt: skip
