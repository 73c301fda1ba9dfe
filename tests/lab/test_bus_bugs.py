"""The proof of no loss notices each bug that is put in, on machines without a fault before."""

from __future__ import annotations

import pytest

from .bus.bugs import BUGS, put_in
from .bus.ground import Ground
from .bus.schedule import Fault, Kind
from .test_bus import ALL, ground, proved, standing

__all__ = ["ground", "standing"]  # fixtures

# What shows each bug: an answer that gets lost, a power cut, a restart while something waits.
SHOWN_BY = {
    # Longer than a sender waits for an answer.
    "no-dedupe": [Fault(Kind.MUTE, (node,), 6.0, 0.5) for node in ALL],
    # Not the orchestrator's: its queue of deploys answers too early as well.
    "answer-before-fsync": [Fault(Kind.POWER, (node,), 0.1, 1.0) for node in ("n2", "n3") * 2],
    "forget-on-restart": [Fault(Kind.CUT, ("n1",), 3.0, 0.5, beside=("n2",))],
}
# An ack that is forgotten shows an early answer as well as a message that is.
AS = {
    "no-dedupe": ("handled_twice",),
    "answer-before-fsync": ("lost", "handled_twice"),
    "forget-on-restart": ("lost",),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_that_is_put_in_is_noticed(ground: Ground, bug: str) -> None:
    put_in(ground.fleet, bug)
    proof = proved(ground, SHOWN_BY[bug], bug)
    assert sum(getattr(proof.verdict, what) for what in AS[bug]) > 0, proof.line()
    assert not proof.well
