"""Confirms a run on this node: from here on the node does not go back by itself.

One compare-and-set with expiring, under the lock: the first one wins, and the other is told.
"""

from __future__ import annotations

import time

from fleet_agent.errors import NodeError
from fleet_agent.node import prune, timer
from fleet_agent.node.act import Act, Outcome
from fleet_agent.node.journal import ARMED, CONFIRMED, OPEN


def run(act: Act) -> Outcome:
    """Raises NodeError when the run is not waiting here any more: it says what it is instead."""
    journal = act.journal
    if journal is None:
        return Outcome(evidence={"found": None, "release": None})
    evidence = {"found": journal.state, "release": journal.target}
    if journal.state == CONFIRMED:
        return Outcome(evidence=evidence)
    if journal.state == OPEN:
        raise NodeError(
            "this run was never armed here, so it has not been deployed", where=act.layout.journal
        )
    if journal.state != ARMED:
        raise NodeError(
            f"too late: this run is {journal.state} here ({journal.note or 'the node went back'})",
            where=act.layout.journal,
            mend="a confirmation must come within `deploy: {confirm_seconds: …}` of the last phase",
        )
    now = time.time()
    act.book.move((ARMED,), CONFIRMED, ended_at=now, note="confirmed")
    timer.stop(act.layout, journal.nonce)
    prune.mark_verified(act.layout, journal.target, journal.commit, journal.deploy, now)
    removed = prune.releases(act.layout, journal, act.spec.limits.whole("deploy_keep_releases"))
    prune.leftovers(act.layout, journal)
    return Outcome(changed=True, evidence={**evidence, "pruned": list(removed)})
