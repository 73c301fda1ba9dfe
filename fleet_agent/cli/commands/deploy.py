"""``fleet-agent deploy``: deploy now, or show with ``--check`` what would change."""

from __future__ import annotations

import argparse
import os
from typing import Any

from fleet_agent.cli import orchestrator
from fleet_agent.cli.following import follow
from fleet_agent.cli.output import Output
from fleet_agent.deploy import protocol, report, told
from fleet_agent.deploy.client import Client, socket_path
from fleet_agent.deploy.verdict import EXIT_CODES
from fleet_agent.errors import EXIT_FAILED, EXIT_OK
from fleet_agent.wire import DeployState


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Deploy a tag, branch or commit of the fleet-ops repository (default: the configured tag) "
        "and follow it. Exit code 0 verified, 3 rolled back, 4 failed."
    )
    parser.add_argument(
        "--ref", "--commit", metavar="REF", help="a tag, branch, commit or full reference"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="change nothing, show the difference a node (the commit's own templates and tasks run "
        "on the orchestrator all the same: read it first)",
    )
    parser.add_argument("--markdown", action="store_true", help="with --check: made for pasting")
    parser.add_argument("--no-follow", action="store_true", help="only queue it")
    parser.add_argument(
        "--no-fetch", action="store_true", help="take what the orchestrator's mirror has already"
    )
    orchestrator.configure(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    code = orchestrator.elsewhere(args.socket, words_of(args), out.json)
    if code is not None:
        return code
    client = Client(socket_path(args.socket, os.environ))
    do = protocol.CHECK if args.check else protocol.DEPLOY
    asked: dict[str, Any] = {"fetch": not args.no_fetch}
    if args.ref is not None:
        asked["ref"] = args.ref
    queued = client.ask(do, **asked)["deploy"]
    if args.no_follow:
        out.value({"deploy": queued}) if out.json else out.line(told.state_line(queued))
        return EXIT_OK
    if args.check:
        return _show_check(client, int(queued["id"]), out, markdown=args.markdown)
    return follow(client, int(queued["id"]), out)


def words_of(args: argparse.Namespace) -> list[str]:
    """The same command for another machine."""
    words = ["deploy"]
    if args.ref is not None:
        words += ["--ref", args.ref]
    for name in ("check", "markdown", "no_follow", "no_fetch"):
        if getattr(args, name):
            words.append("--" + name.replace("_", "-"))
    return words


def _show_check(client: Client, deploy: int, out: Output, *, markdown: bool) -> int:
    """Wait for a dry run, its progress on stderr, and print what it found."""
    row: dict[str, Any] = {}
    for line in client.follow(deploy):
        event = line.get("event")
        text = told.event_line(deploy, event) if isinstance(event, dict) else None
        if text is not None and out.verbose:
            out.note(text)
        row = line.get("deploy") or row
    result = row.get("result") or {}
    failed = row.get("state") != DeployState.VERIFIED.value
    reason = str(row.get("reason")) if failed else None
    if out.json:
        out.value({"deploy": row})
    elif markdown:
        more = told.sentences(result) if failed else ()
        diffs, commit = result.get("diffs") or {}, row["commit"] or "?"
        out.line(report.as_markdown(diffs, reason, commit=commit, ref=row["ref"], more=more))
    else:
        out.line(report.as_text(result.get("diffs") or {}, reason).rstrip("\n"))
        for text in told.sentences(result) if failed else ():
            out.note(text)
    return EXIT_CODES.get(DeployState(row["state"]), EXIT_FAILED)
