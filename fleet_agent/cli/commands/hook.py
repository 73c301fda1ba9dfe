"""``fleet-agent hook``: what to fill into the forge's webhook form; wait for a delivery."""

from __future__ import annotations

import argparse
import os

from fleet_agent.cli import orchestrator
from fleet_agent.cli.output import Output
from fleet_agent.deploy import protocol, told
from fleet_agent.deploy.client import Client, socket_path
from fleet_agent.errors import EXIT_OK, EXIT_SOMETHING_NOT_WELL

_TEST_SECONDS = 120.0


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "show: what to fill into the forge's webhook form, from ./fleet.yaml. test: wait for the "
        "next webhook and say what came (press Test Delivery in the forge meanwhile); exit code 0, "
        "or 10 when none came or it was refused."
    )
    parser.add_argument("what", choices=("show", "test"))
    parser.add_argument(
        "--timeout",
        type=float,
        default=_TEST_SECONDS,
        metavar="SECONDS",
        help=f"how long test waits (default {_TEST_SECONDS:g})",
    )
    orchestrator.configure(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    if args.what == "show":
        return _show(out)
    words = ["hook", "test", "--timeout", f"{args.timeout:g}"]
    code = orchestrator.elsewhere(args.socket, words, out.json)
    if code is not None:
        return code
    client = Client(socket_path(args.socket, os.environ))
    return _test(client, args.timeout, out)


def _test(client: Client, seconds: float, out: Output) -> int:
    after = client.ask(protocol.DELIVERIES, limit=1)["last"]
    out.note(f"waiting {seconds:g} s for a webhook; press Test Delivery in the forge now")
    answer = client.ask(
        protocol.DELIVERIES, seconds=seconds + 30, after=after, wait=seconds, limit=100
    )
    found = answer["deliveries"]
    if out.json:
        out.value({"deliveries": found})
    if not found:
        out.note(
            "no webhook came: does the forge reach this host and port (its own log says), and does "
            "its ALLOWED_HOST_LIST allow it?"
        )
        return EXIT_SOMETHING_NOT_WELL
    for one in reversed(found):
        out.line(
            f"{told.clean(one['forge']) or 'unknown forge'} {told.clean(one['event'])} "
            f"{told.clean(one['delivery'])}: {one['outcome']}"
            + (f" as deploy {one['deploy']}" if one["deploy"] else "")
        )
        if one["reason"]:
            out.line(f"  {told.clean(one['reason'])}")
    refused = any(one["outcome"] == "refused" for one in found)
    return EXIT_SOMETHING_NOT_WELL if refused else EXIT_OK


def _show(out: Output) -> int:
    from fleet_agent.registry.source import choose, open_registry
    from fleet_agent.setup.forms import hook_url, webhook_form

    registry = open_registry(choose(None))
    # As others reach it: where it binds may be an address behind NAT.
    host, rules = registry.orchestrator.host, registry.deploy
    lines = webhook_form(host, rules.hook_port, rules.tag, "")
    if out.json:
        out.value({"url": hook_url(host, rules.hook_port), "content_type": "application/json"})
    for line in lines:
        out.line(line)
    return EXIT_OK
