"""Arms the node's own way back, and moves its deadline on while phases are heard."""

from __future__ import annotations

import time

from fleet_agent.errors import NodeError
from fleet_agent.node import timer
from fleet_agent.node.act import Act
from fleet_agent.node.journal import ARMED, CONFIRMED, OPEN


def arm(act: Act) -> None:
    """Write the deadline, then start the timer. From here on the node returns by itself."""
    journal = act.journal
    if journal is None or journal.state != OPEN:
        hear(act)
        return
    seconds = journal.confirm_seconds
    act.book.move(
        (OPEN,), ARMED, deadline=timer.uptime() + seconds, deadline_at=time.time() + seconds
    )
    timer.start(act.layout, act.spec.nonce, seconds)


def hear(act: Act) -> None:
    """Move the deadline on: a phase of this very run has come to this node.

    Raises NodeError when the run has been put back, or is being put back, in the meantime.
    """
    journal = act.journal
    if journal is None or journal.state in (OPEN, CONFIRMED):
        return
    if journal.state != ARMED:
        raise NodeError(
            f"this run is {journal.state} here: {journal.note or 'the node went back'}",
            where=act.layout.journal,
            mend="a run that takes longer than `deploy: {confirm_seconds: …}` between two phases "
            "is put back: raise it, or find out what took so long",
        )
    seconds = journal.confirm_seconds
    act.book.move_deadline(timer.uptime() + seconds, time.time() + seconds)
