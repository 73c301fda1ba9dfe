"""What every phase gets in its hand, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fleet_agent.node import steps
from fleet_agent.node.content import Contents
from fleet_agent.node.journal import ARMED, EXPIRING, Book, Journal
from fleet_agent.node.layout import Layout
from fleet_agent.node.log import Log
from fleet_agent.node.spec import Spec
from fleet_agent.node.units import Units


class Act(NamedTuple):
    """One phase on its way: what is asked, and the parts of the node that it may touch.

    ``parcel`` is what phase ``keys`` brings, as it came: only that phase opens it.
    """

    spec: Spec
    layout: Layout
    units: Units
    contents: Contents
    book: Book
    log: Log
    parcel: bytes = b""

    @property
    def journal(self) -> Journal | None:
        """The journal of this very run; None when this run has changed nothing here."""
        return self.book.of(self.spec.nonce)

    def step(self, name: str) -> None:
        """Note a step, fsynced; in a check nothing is written."""
        if self.spec.check:
            steps.die_here(self.layout, self.spec.kill_at, name)
        else:
            self.book.step(name)


class Outcome(NamedTuple):
    """What a phase gives back. ``diff`` are pairs of a path and a text for people."""

    changed: bool = False
    diff: tuple[tuple[str, str], ...] = ()
    evidence: Mapping[str, Any] = {}
    notes: tuple[str, ...] = ()


def as_result(act: Act, outcome: Outcome, error: Mapping[str, Any] | None) -> dict[str, Any]:
    """The JSON line of a phase.

    ``touched``: this run has, or had, something here to be put back. ``armed``: the node puts
    itself back unless it hears of the run again.
    """
    journal = act.journal
    return {
        "ok": error is None,
        "changed": outcome.changed,
        "touched": journal is not None,
        "armed": journal is not None and journal.state in (ARMED, EXPIRING),
        "diff": [{"path": path, "text": text} for path, text in outcome.diff],
        "evidence": dict(outcome.evidence),
        "notes": list(outcome.notes),
        "error": None if error is None else dict(error),
    }
