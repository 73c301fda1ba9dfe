"""Phase audit: what this node is now, as evidence. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fleet_agent.node import arm, present, steps
from fleet_agent.node.act import Act, Outcome
from fleet_agent.node.desired import placements
from fleet_agent.node.place import FILE
from fleet_agent.node.present import Present
from fleet_agent.release.fingerprint import Declared, fingerprint
from fleet_agent.release.manifest import Manifest


def run(act: Act) -> Outcome:
    """The fingerprint of what is there beside the one that is wanted."""
    forward = not act.spec.check and not act.spec.back
    if forward:
        arm.hear(act)
    release, manifest = present.current(act.layout)
    journal = act.book.journal
    evidence: dict[str, Any] = {
        "release": release,
        "journal": None if journal is None else journal.state,
        "chain_heads": {},
    }
    if manifest is not None:
        seen = present.look(act.layout, manifest, act.units)
        evidence["fingerprint"] = fingerprint(actual(manifest, seen))
        evidence["wanted_fingerprint"] = fingerprint(wanted(manifest))
    if forward:
        act.step(steps.AUDITED)
    return Outcome(evidence=evidence)


def wanted(manifest: Manifest) -> Iterator[Declared]:
    """What a release declares on its node."""
    yield Declared("release", "current", manifest.id)
    for item in placements(manifest):
        yield Declared("place", item.place, f"{item.mode:04o} {item.sha256}")
    for wizard in manifest.wizards:
        yield Declared("daemon", wizard.name, wizard.input)


def actual(manifest: Manifest, seen: Present) -> Iterator[Declared]:
    """What is there of what a release declares."""
    yield Declared("release", "current", seen.release or "")
    for item in placements(manifest):
        found = seen.found[item.place]
        if found.kind == FILE:
            yield Declared("place", item.place, f"{found.mode:04o} {found.sha256}")
    for wizard in manifest.wizards:
        answer = seen.health.get(wizard.name)
        if answer is not None:
            yield Declared("daemon", wizard.name, answer.running)
