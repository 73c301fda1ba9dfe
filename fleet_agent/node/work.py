"""Puts together what an act needs: for a spec that came in, or for a journal found here."""

from __future__ import annotations

from collections.abc import Mapping

from fleet_agent.limits import Limits
from fleet_agent.node.act import Act
from fleet_agent.node.content import Contents
from fleet_agent.node.journal import Book, Journal
from fleet_agent.node.layout import Layout
from fleet_agent.node.log import Log
from fleet_agent.node.spec import BACK, Spec
from fleet_agent.node.units import Units


def of_spec(
    spec: Spec, pack: Mapping[str, bytes], book: Book, log: Log, parcel: bytes = b""
) -> Act:
    """An act that somebody asked for; ``parcel`` are the keys that came with phase ``keys``."""
    units = Units(spec.layout, spec.limits["deploy_ready_seconds"])
    return Act(spec, spec.layout, units, Contents(pack), book, log, parcel)


def of_journal(layout: Layout, book: Book, journal: Journal, log: Log) -> Act:
    """The node's own way back."""
    spec = Spec(
        deploy=journal.deploy,
        nonce=journal.nonce,
        mode=BACK,
        layout=layout,
        limits=Limits(journal.limits),
        holder=journal.holder,
        commit=journal.commit,
    )
    return of_spec(spec, {}, book, log)
