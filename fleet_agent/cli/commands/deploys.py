"""``fleet-agent deploys``: list deploys, show one with everything, follow one live."""

from __future__ import annotations

import argparse
import os
from typing import Any

from fleet_agent.cli import orchestrator
from fleet_agent.cli.following import follow
from fleet_agent.cli.output import Output
from fleet_agent.deploy import protocol, told
from fleet_agent.deploy.client import Client, socket_path
from fleet_agent.errors import EXIT_OK, ConfigError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List the newest deploys; show one with its cause, way back, phases and deliveries; or "
        "follow one live (exit code 0 verified, 3 rolled back, 4 failed)."
    )
    parser.add_argument("what", nargs="?", choices=("show", "follow"), help="instead of the list")
    parser.add_argument(
        "deploy", nargs="?", type=int, metavar="ID", help="default: the running or the newest one"
    )
    parser.add_argument(
        "--deliveries", action="store_true", help="list the webhooks that came, also refused ones"
    )
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="rows (default 20)")
    orchestrator.configure(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    if args.deliveries and args.what:
        raise ConfigError("--deliveries is for the list")
    code = orchestrator.elsewhere(args.socket, words_of(args), out.json)
    if code is not None:
        return code
    client = Client(socket_path(args.socket, os.environ))
    if args.what == "follow":
        return follow(client, args.deploy, out)
    if args.what == "show":
        return _show(client, args.deploy, out)
    if args.deliveries:
        answer = client.ask(protocol.DELIVERIES, limit=args.limit)
        if out.json:
            out.value({"deliveries": answer["deliveries"]})
        out.table(told.DELIVERY_HEAD, told.delivery_rows(answer["deliveries"]))
        return EXIT_OK
    answer = client.ask(protocol.LIST, limit=args.limit)
    if out.json:
        out.value({"deploys": answer["deploys"]})
    rows = told.deploy_rows(answer["deploys"])
    out.table(told.DEPLOY_HEAD, [(row[0], out.health(row[1]), *row[2:]) for row in rows])
    return EXIT_OK


def words_of(args: argparse.Namespace) -> list[str]:
    """The same command for another machine."""
    words = ["deploys", "--limit", str(args.limit)]
    if args.deliveries:
        words.append("--deliveries")
    if args.what is not None:
        words.append(args.what)
    if args.deploy is not None:
        words.append(str(args.deploy))
    return words


def _show(client: Client, deploy: int | None, out: Output) -> int:
    answer = client.ask(protocol.SHOW, deploy=deploy)
    row: dict[str, Any] = answer["deploy"]
    if out.json:
        out.value({key: answer[key] for key in ("deploy", "moves", "deliveries")})
        return EXIT_OK
    out.line(out.paint("bold", f"deploy {row['id']}") + "  " + out.health(str(row["state"])))
    if row.get("reason"):
        out.line(told.clean(row["reason"]))
    for text in told.sentences(row.get("result") or {}):
        out.line(text)
    out.line()
    for name, value in _facts(row):
        out.line(f"{name:<13} {value}")
    out.line()
    out.table(
        ("WHEN", "FROM", "TO", "WHY"),
        [
            (told.stamp(move["at"]), move["from"] or "-", move["to"], told.clean(move["why"]))
            for move in answer["moves"]
        ],
    )
    phases = told.phase_table(row.get("result") or {})
    if phases:
        out.line()
        out.table(("RUN", "HOST", "PHASE", "SECONDS"), phases)
    if answer["deliveries"]:
        out.line()
        out.table(told.DELIVERY_HEAD, told.delivery_rows(answer["deliveries"]))
    return EXIT_OK


def _facts(row: dict[str, Any]) -> list[tuple[str, str]]:
    facts = [
        ("kind", row["kind"]),
        ("ref", row["ref"]),
        ("commit", row["commit"]),
        ("asked for by", f"{row['requested_by'] or '?'} ({row['source'] or '?'})"),
        ("queued", told.stamp(row["queued_at"])),
        ("started", told.stamp(row["started_at"])),
        ("ended", told.stamp(row["ended_at"])),
        ("took", f"{row['seconds']:.2f} s" if row.get("seconds") is not None else ""),
        ("goes back to", f"deploy {row['back_to']}" if row.get("back_to") else ""),
        ("see also", f"deploy {row['twin_of']}" if row.get("twin_of") else ""),
    ]
    return [(name, told.clean(value)) for name, value in facts if value]
