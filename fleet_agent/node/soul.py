"""Phase soul: a release's souls compared with the ones in force, by seal. Writes nothing."""

from __future__ import annotations

from typing import Any

from fleet_agent.errors import NodeError
from fleet_agent.node import present, steps
from fleet_agent.node.act import Act, Outcome
from fleet_agent.node.place import FILE, Places
from fleet_agent.release.diff import unified
from fleet_agent.release.manifest import Manifest, SoulEntry


def run(act: Act) -> Outcome:
    """Raises NodeError when a release lacks a soul that it names."""
    if act.spec.back:
        return Outcome(notes=())
    wanted = act.spec.wanted
    release, before = present.current(act.layout)
    act.contents.add_release(act.layout, release, before)
    evidence: dict[str, Any] = {}
    diff: list[tuple[str, str]] = []
    notes: list[str] = []
    paths = wanted.by_path
    for wizard in wanted.wizards:
        soul = wizard.soul
        if soul is None:
            evidence[wizard.name] = None
            continue
        if soul.source not in paths or paths[soul.source].sha256 != soul.seal:
            raise NodeError(
                "the release lacks this soul",
                where=f"soul of {wizard.name}",
                mend="commit the file that `soul:` names",
            )
        old = _in_force(act, wizard.name, soul, before)
        evidence[wizard.name] = {"seal": soul.seal, "in_force": old.seal, "place": soul.place}
        if old.seal == soul.seal:
            continue
        notes.append(
            f"{wizard.name}: the soul changes from {_short(old.seal)} to {_short(soul.seal)}"
        )
        new = act.contents.get(soul.seal)
        if new is not None:
            diff.append((old.where, unified(old.text, new, old.where)))
    act.step(steps.SOUL_COMPARED)
    return Outcome(diff=tuple(diff), evidence={"souls": evidence}, notes=tuple(notes))


class _InForce:
    """The soul that a wizard has now. ``seal`` is empty where it has none."""

    def __init__(self, where: str, seal: str, text: bytes | None) -> None:
        self.where, self.seal, self.text = where, seal, text


def _in_force(act: Act, name: str, soul: SoulEntry, before: Manifest | None) -> _InForce:
    if soul.place is not None:
        where = Places(act.layout.root, unprivileged=act.layout.unprivileged)
        found = where.look(soul.place)
        if found.kind != FILE:
            return _InForce(soul.place, "", None)
        most = act.spec.limits.whole("deploy_file_bytes")
        text = where.read(soul.place, most) if found.sha256 != soul.seal else None
        return _InForce(soul.place, found.sha256, text)
    where_told = f"/{soul.source}"
    for wizard in () if before is None else before.wizards:
        if wizard.name == name and wizard.soul is not None:
            return _InForce(where_told, wizard.soul.seal, act.contents.get(wizard.soul.seal))
    return _InForce(where_told, "", None)


def _short(seal: str) -> str:
    return seal[:12] if seal else "none"
