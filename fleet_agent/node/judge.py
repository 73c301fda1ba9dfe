"""Judges whether a release runs: ready within a limit, and still well after a settling time.

By content, not by a port being open. A unit that is known to have failed ends the wait at once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from fleet_agent.errors import NodeError
from fleet_agent.node import decide, health, present, steps
from fleet_agent.node.act import Act
from fleet_agent.node.desired import DAEMON, Wish, wishes
from fleet_agent.node.errors import UnitError
from fleet_agent.node.health import Answer
from fleet_agent.node.units import Ref, State
from fleet_agent.release.manifest import Manifest, WizardInputs

_PAUSE_SECONDS: Final = 0.05


class Expected(NamedTuple):
    """What a release is judged by.

    On the way back ``before`` says how each daemon was at the baseline (its status, and the
    input that it ran): more than that can't be asked of it.
    """

    manifest: Manifest | None
    units: tuple[Wish, ...]
    before: Mapping[str, tuple[str, str]] | None = None


class Seen(NamedTuple):
    """One look: units, the daemons' answers by wizard, and why peers don't get on with one."""

    states: Mapping[Ref, State]
    answers: Mapping[str, Answer]
    tls: Mapping[str, str]


def expected(manifest: Manifest) -> Expected:
    """All that a release wants to run."""
    return Expected(manifest, tuple(wish for wish in wishes(manifest) if wish.start))


def converged(act: Act, want: Expected, *, settle: bool) -> dict[str, Any]:
    """Wait until all is as wanted, and look again after the settling time; the evidence."""
    limits = act.spec.limits
    began, since = time.time(), time.monotonic()
    first = _ready(act, want, limits["deploy_ready_seconds"], began)
    forward = want.before is None
    if forward and want.manifest is not None:
        check_places(act, want.manifest)
        act.step(steps.READY)
    if settle:
        time.sleep(limits["deploy_settle_seconds"])
        second = look(act, want)
        _judge(act, want, second, began)
        _same_processes(act, want, first, second, began)
    if forward:
        act.step(steps.SETTLED)
    return {
        "ready_after_s": round(time.monotonic() - since, 2),
        "daemons": {
            name: {"status": answer.status, "running": answer.running}
            for name, answer in first.answers.items()
        },
        "units": {wish.ref.key: first.states[wish.ref].active for wish in want.units},
    }


def _ready(act: Act, want: Expected, seconds: float, began: float) -> Seen:
    deadline = time.monotonic() + seconds
    while True:
        seen = look(act, want)
        try:
            _judge(act, want, seen, began)
        except NodeError:
            if time.monotonic() > deadline or _is_final(want, seen):
                raise
        else:
            return seen
        time.sleep(_PAUSE_SECONDS)


def look(act: Act, want: Expected) -> Seen:
    """Ask systemd and every daemon once."""
    states = act.units.show([wish.ref for wish in want.units])
    answers = {
        wish.wizard: health.ask(act.layout.socket(wish.wizard))
        for wish in want.units
        if wish.kind == DAEMON
    }
    # On the way back no more is asked of a daemon than how it was before.
    speaking = () if want.manifest is None or want.before is not None else want.manifest.wizards
    return Seen(states, answers, _over_tls(act, [one for one in speaking if one.tls]))


def _over_tls(act: Act, speaking: Sequence[WizardInputs]) -> Mapping[str, str]:
    if not speaking:
        return {}
    from fleet_agent.node import tlslook  # ssl, where somebody speaks it

    return {wizard.name: tlslook.why_not(act.layout, wizard) for wizard in speaking}


def _is_final(want: Expected, seen: Seen) -> bool:
    """Whether waiting can't help any more."""
    return any(seen.states[wish.ref].has_failed for wish in want.units) or any(
        answer.status == "fail" for answer in seen.answers.values()
    )


def _judge(act: Act, want: Expected, seen: Seen, began: float) -> None:
    """Raise for the first unit or daemon that is not as wanted."""
    for wish in want.units:
        state = seen.states[wish.ref]
        if not state.is_active:
            raise act.units.failure(wish.ref, state, began - _LOOK_BACK_SECONDS)
    if want.manifest is None:
        return
    by_name = {wizard.name: wizard for wizard in want.manifest.wizards}
    for name, answer in seen.answers.items():
        why = _wrong(answer, by_name[name], want.manifest.id, want.before) or seen.tls.get(name)
        if why:
            ref = Ref(by_name[name].daemon)
            raise UnitError(
                why,
                where=str(ref),
                mend=f"journalctl -u {ref.unit}",
                log=act.units.log(ref, began - _LOOK_BACK_SECONDS),
                health=answer.body,
            )


# The start was in an earlier phase; its words belong to the error as well.
_LOOK_BACK_SECONDS: Final = 60


def _wrong(
    answer: Answer,
    wizard: WizardInputs,
    release: str,
    before: Mapping[str, tuple[str, str]] | None,
) -> str:
    """Why a daemon's answer is not the wanted one; empty when it is. Pure."""
    status, running = ("", "") if before is None else before[wizard.name]
    if answer.why:
        return answer.why
    if answer.wizard != wizard.name:
        return f"the answer is that of {answer.wizard}, not of {wizard.name}"
    if answer.running not in (wizard.input, running):
        return f"runs the input {answer.running[:16] or 'unknown'}, not {wizard.input[:16]}"
    if answer.installed != release:
        return f"sees the release {answer.installed or 'none'}, not {release}"
    if not answer.well and answer.status != status:
        return f"is unwell: health says {answer.status or 'nothing'}{_reasons(answer)}"
    return ""


def _reasons(answer: Answer) -> str:
    """Why a daemon calls itself unwell, in its own words."""
    said = (answer.body or {}).get("output")
    reasons = [str(one) for one in said] if isinstance(said, list) else []
    return f" ({'; '.join(reasons)})" if reasons else ""


def _same_processes(act: Act, want: Expected, first: Seen, second: Seen, began: float) -> None:
    for wish in want.units:
        before, now = first.states[wish.ref], second.states[wish.ref]
        if (before.invocation, before.restarts) != (now.invocation, now.restarts):
            raise UnitError(
                f"was started again by itself while it settled ({now.restarts} restarts)",
                where=str(wish.ref),
                mend=f"journalctl -u {wish.ref.unit}",
                log=act.units.log(wish.ref, began - _LOOK_BACK_SECONDS),
            )


def check_places(act: Act, manifest: Manifest) -> None:
    """Every file lies at its place as declared. Raises NodeError."""
    seen = present.look_at_places(act.layout, manifest)
    wrong = decide.places(manifest, None, seen, any_owner=act.layout.unprivileged)
    if seen.release != manifest.id:
        raise NodeError(
            f"leads to {seen.release or 'nothing'}, not to {manifest.id}", where=act.layout.current
        )
    for item in wrong.write:
        found = seen.found[item.place]
        raise NodeError(
            f"is not as declared: {found.kind} with mode {found.mode:04o}, "
            f"sha256 {found.sha256[:16] or 'none'}",
            where=item.place,
            mend="something else writes there: find out what",
        )
