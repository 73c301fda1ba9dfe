"""Wizards' own processes that need secret files: started when these are there, not before.

Phase services leaves them to phase keys, where the secrets come; what runs decides in both.
"""

from __future__ import annotations

from fleet_agent.node import decide, present, started
from fleet_agent.node.act import Act
from fleet_agent.node.desired import RUNTIME, Wish, wishes
from fleet_agent.node.place import FILE, Places
from fleet_agent.node.units import Ref
from fleet_agent.release.manifest import Manifest


def waiting(act: Act, wanted: Manifest, before: Manifest | None) -> frozenset[str]:
    """The wizards whose secrets are not there yet, or will change in this run."""
    where = Places(act.layout.root, unprivileged=act.layout.unprivileged)
    old = {} if before is None else {one.name: one.secrets for one in before.wizards}
    return frozenset(
        one.name
        for one in wanted.wizards
        if one.secrets
        and (
            old.get(one.name) != one.secrets
            or any(where.look(secret.place).kind != FILE for secret in one.secrets)
        )
    )


def restart(act: Act, wanted: Manifest) -> list[str]:
    """Start anew what does not run with its secrets as they lie there; the units' names.

    Raises UnitError for one that does not come up.
    """
    secrets = {one.name: one.secrets for one in wanted.wizards if one.secrets}
    mine = [wish for wish in wishes(wanted) if wish.kind == RUNTIME and wish.wizard in secrets]
    if not mine:
        return []
    seen = present.look(act.layout, wanted, act.units)
    anew = decide.units(wanted, seen.manifest, seen, decide.ToPlace((), ())).runtimes
    where = Places(act.layout.root, unprivileged=act.layout.unprivileged)

    def is_late(wish: Wish) -> bool:
        began = seen.booted + seen.states[wish.ref].started
        return any(where.look(one.place).changed > began for one in secrets[wish.wizard])

    refs: list[Ref] = [wish.ref for wish in mine if wish in anew or is_late(wish)]
    if refs:
        act.units.forget_failures(refs)
        act.units.restart(refs)
        started.remember(act, wanted, seen)
    return [ref.key for ref in refs]
