"""Follows a deploy to its end on stdout; the exit code says how it ended."""

from __future__ import annotations

from fleet_agent.cli.output import Output
from fleet_agent.deploy import told
from fleet_agent.deploy.client import Client
from fleet_agent.deploy.verdict import EXIT_CODES
from fleet_agent.errors import EXIT_FAILED
from fleet_agent.wire import DeployState


def follow(client: Client, deploy: int | None, out: Output) -> int:
    """Show deploy number ``deploy`` (None: the running one, else the newest) until it has ended."""
    number = deploy
    try:
        for line in client.follow(deploy):
            if out.json:
                out.value(line)
            row = line.get("deploy")
            if isinstance(row, dict):
                number = int(row["id"])
                for text in told.end_lines(row) if line.get("done") else [told.state_line(row)]:
                    out.line(text)
            event = line.get("event")
            if isinstance(event, dict) and number is not None:
                text_of_event = told.event_line(number, event)
                if text_of_event is not None:
                    out.line(text_of_event)
            out.flush()
            if line.get("done") and isinstance(row, dict):
                return EXIT_CODES.get(DeployState(row["state"]), EXIT_FAILED)
    except KeyboardInterrupt:
        if number is not None:
            out.note(f"deploy {number} goes on; fleet-agent deploys follow {number}")
        raise
    return EXIT_FAILED
