"""``fleet-agent tls``: the fleet's CA and certificates; print the CA, go over to another one."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fleet_agent.cli import orchestrator
from fleet_agent.cli.following import follow
from fleet_agent.cli.output import Output
from fleet_agent.deploy import protocol
from fleet_agent.deploy.client import Client, socket_path
from fleet_agent.errors import EXIT_OK, RequestError

# What each deploy of a rotation does; the next one begins when it is verified.
_STEPS: Final = (
    "every node believes both CAs",
    "every wizard gets a certificate of the new one",
    "nobody believes the one before any more",
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print the certificate of the fleet's CA (`fleet-agent tls ca > ca.pem`, then `curl "
        "--cacert ca.pem https://…`), show which certificates wizards have and until when, or go "
        "over to another CA: three deploys of what the fleet runs, during which no connection is "
        "refused. Certificates themselves are renewed by every deploy."
    )
    parser.add_argument("what", choices=("ca", "show", "rotate"))
    parser.add_argument(
        "--no-follow", action="store_true",
        help="only queue the first deploy of a rotation; each further one takes its next step",
    )  # fmt: skip
    orchestrator.configure(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    words = ["tls", args.what, *(["--no-follow"] if args.no_follow else [])]
    code = orchestrator.elsewhere(args.socket, words, out.json)
    if code is not None:
        return code
    client = Client(socket_path(args.socket, os.environ))
    if args.what == "rotate":
        return _rotate(client, args.no_follow, out)
    answer = client.ask(protocol.TLS)
    if args.what == "ca" and not answer["authorities"]:
        raise RequestError(
            "there is no CA: no wizard speaks TLS", status=404,
            mend="say `tls: true` in fleet.yaml, and deploy",
        )  # fmt: skip
    if out.json:
        out.value({key: answer[key] for key in ("rotation", "authorities", "certificates")})
    elif args.what == "ca":
        for one in answer["authorities"]:
            out.line(one["pem"].rstrip("\n"))
    else:
        out.line(sentence(answer["rotation"]))
        out.table(("WIZARD", "CA", "GOOD UNTIL", "FOR"), rows(answer["certificates"]))
    return EXIT_OK


def _rotate(client: Client, no_follow: bool, out: Output) -> int:
    answer = client.ask(protocol.TLS_ROTATE)
    for number, step in enumerate(_STEPS, 1):
        queued = answer["deploy"]
        if queued is None:
            out.note("nothing was deployed yet: the first deploy places it")
            return EXIT_OK
        out.note(f"deploy {queued['id']}, {number} of {len(_STEPS)} of the rotation: {step}")
        if no_follow:
            if out.json:
                out.value({"rotation": answer["rotation"], "deploy": queued})
            return EXIT_OK
        code = follow(client, int(queued["id"]), out)
        if code != EXIT_OK or number == len(_STEPS):
            return code
        answer = client.ask(protocol.TLS_ROTATE, go_on=True)
    return EXIT_OK


def sentence(rotation: Mapping[str, Any] | None) -> str:
    """Where rotation stands, as people read it."""
    if rotation is None:
        return "no wizard speaks TLS, so there is no CA"
    current = rotation["current"]
    if rotation["over"]:
        return f"CA {current} has signed every certificate, and every node has its own"
    if rotation["trusted"] < current:
        return f"CA {current} is not known to be believed by every node yet: fleet-agent deploy"
    return f"CA {current} is believed by every node, and signs at the next fleet-agent deploy"


def rows(certificates: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """A row a wizard."""
    return [
        (
            str(one["wizard"]), str(one["ca"]),
            time.strftime("%Y-%m-%d", time.gmtime(one["not_after"])), ", ".join(one["names"]),
        )
        for one in certificates
    ]  # fmt: skip
