"""``fleet-agent deploy-service``: works the deploy queue and answers at its socket."""

from __future__ import annotations

import argparse
import logging
import os

from fleet_agent.cli import logs
from fleet_agent.cli.output import Output
from fleet_agent.deploy import paths, protocol
from fleet_agent.errors import EXIT_OK
from fleet_agent.services import handover
from fleet_agent.services.activation import hand_on, take_sockets
from fleet_agent.services.deploy import DeployService, Ended, end_on_signals
from fleet_agent.services.deploy_status import StatusWord
from fleet_agent.services.notify import Notifier
from fleet_agent.services.pipeline import Pipeline


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Take the deploys from the queue one by one, and answer at a socket. systemd runs this on "
        "the orchestrator (fleet-deploy.service). A deploy that was cut short is put back first."
    )
    parser.add_argument("--state", default=paths.STATE, metavar="DIR", help="queue, mirror, runs")
    parser.add_argument("--socket", default=paths.SOCKET, metavar="PATH", help="where it answers")
    parser.add_argument("--root", default=paths.ROOT, metavar="DIR", help="where releases lie")
    parser.add_argument(
        handover.PROBE, action="store_true", help="end at once: can this code start at all?"
    )


def run(args: argparse.Namespace, out: Output) -> int:
    if args.probe:
        return EXIT_OK
    logs.to_stderr(logging.INFO)
    places = paths.DeployPaths(
        os.path.abspath(args.state), os.path.abspath(args.root), os.path.abspath(args.socket)
    )
    taking = handover.Handover(places, handover.own_code(), os.environ)
    words = ["--state", places.state, "--socket", places.socket, "--root", places.root]
    code = taking.successor()
    if code is not None:
        handover.become(code, words)
    handed = take_sockets(os.environ)
    notifier = Notifier(os.environ)
    pipeline = Pipeline(handover.package(), dict(os.environ))
    service = DeployService(
        places,
        pipeline.execute,
        pipeline.recover,
        taking.stale,
        more={protocol.STATUS: StatusWord(places)},
    )
    end_on_signals()
    try:
        service.run(
            handed[0][1] if handed else None,
            lambda: notifier.ready(f"working from {handover.own_code()}"),
        )
        code = taking.in_place()
        if code is not None:
            # Who asks meanwhile waits for one start, not for systemd's pause and two; ssh's
            # connections to the nodes stay open.
            hand_on(os.environ, handed)
            handover.become(code, words)
    except Ended:
        notifier.stopping()
    return EXIT_OK
