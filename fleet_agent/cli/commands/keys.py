"""``fleet-agent keys``: which keys the fleet has, by their ids; begin the next epoch of them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Any

from fleet_agent.cli import orchestrator
from fleet_agent.cli.following import follow
from fleet_agent.cli.output import Output
from fleet_agent.deploy import protocol
from fleet_agent.deploy.client import Client, socket_path
from fleet_agent.errors import EXIT_OK


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show the epochs and ids of the pair keys with which wizards sign, or rotate them: the "
        "next epoch is deployed with what the fleet runs, and the one before stays valid, so that "
        "no message is lost. What was stolen opens nothing any more after two rotations."
    )
    parser.add_argument("what", choices=("show", "rotate"))
    parser.add_argument("--no-follow", action="store_true", help="only queue the deploy")
    orchestrator.configure(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    words = ["keys", args.what, *(["--no-follow"] if args.no_follow else [])]
    code = orchestrator.elsewhere(args.socket, words, out.json)
    if code is not None:
        return code
    client = Client(socket_path(args.socket, os.environ))
    if args.what == "rotate":
        answer = client.ask(protocol.KEYS_ROTATE)
        queued = int(answer["deploy"]["id"])
        epoch = answer["epochs"]["current"]
        out.note(f"epoch {epoch} of the keys is begun; deploy {queued} places it")
        if args.no_follow:
            if out.json:
                out.value({"epochs": answer["epochs"], "deploy": answer["deploy"]})
            return EXIT_OK
        return follow(client, queued, out)
    answer = client.ask(protocol.KEYS)
    if out.json:
        out.value({"epochs": answer["epochs"], "keys": answer["keys"]})
    else:
        out.line(sentence(answer["epochs"]))
        out.table(("WIZARD", "PEER", "KEY IDS (EPOCH:ID)"), rows(answer["keys"]))
    return EXIT_OK


def sentence(epochs: Mapping[str, Any]) -> str:
    """The epochs, as people read them."""
    current, previous = epochs["current"], epochs["previous"]
    valid = f"epoch {current} is valid" if previous is None else (
        f"epochs {current} and {previous} are valid"
    )  # fmt: skip
    if epochs["placed"] >= current:
        return f"{valid}, and on every node"
    return f"{valid}; {current} is not known to be on every node yet: fleet-agent deploy"


def rows(keys: Mapping[str, Mapping[str, str]]) -> list[tuple[str, str, str]]:
    """A row for each wizard and peer; each pair stands there twice, once from each side."""
    return [
        (wizard, peer, ids)
        for wizard, peers in sorted(keys.items())
        for peer, ids in sorted(peers.items())
    ]
