"""What a run came to: pure decisions between the events of a run and the state of a deploy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from fleet_agent.deploy.playbook import PlaybookEnd
from fleet_agent.deploy.progress import Failure, Progress
from fleet_agent.errors import EXIT_FAILED, EXIT_OK, EXIT_ROLLED_BACK
from fleet_agent.wire import DeployState

EXIT_CODES = {
    DeployState.VERIFIED: EXIT_OK,
    DeployState.ROLLED_BACK: EXIT_ROLLED_BACK,
    DeployState.FAILED: EXIT_FAILED,
    DeployState.SUPERSEDED: EXIT_OK,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a deploy: its state, one sentence why, and the whole result for the history."""

    state: DeployState
    reason: str
    result: dict[str, Any] = field(default_factory=dict)


def cause_of(
    progress: Progress, end: PlaybookEnd, hosts: Iterable[str], last_words: str
) -> Failure | None:
    """Why a forward run did not succeed; None when every one of ``hosts`` came through.

    A run that touched no host where it should have is a failure, whatever Ansible's exit code.
    """
    for failure in progress.failures:
        if not failure.unreachable:
            return failure
    if progress.failures:
        return progress.failures[0]
    if end.ended_because:
        late = sorted(set(hosts) - progress.through)
        return _of_run(f"{end.ended_because}; not through: {', '.join(late) or 'none'}")
    if end.code != 0:
        return _of_run(f"ansible-playbook ended with {end.code}: {last_words}")
    missing = sorted(set(hosts) - progress.through)
    if missing:
        return _of_run(f"hosts that the run never brought to its end: {', '.join(missing)}")
    return None


def _of_run(what: str) -> Failure:
    return Failure(host="the run", phase="", task="", what=what, mend="see ansible.log of the run")


def going_back(
    cause: Failure,
    forward: Progress,
    back: Progress,
    wanted: frozenset[str],
    confirm_seconds: float,
) -> Outcome:
    """The outcome after the way back was driven on the hosts ``wanted``."""
    unconfirmed = sorted(wanted - back.through)
    touched = (forward.touched | back.touched) & wanted
    result = {
        "cause": cause.as_dict(),
        "touched": sorted(touched),
        "put_back": sorted(back.through & touched),
        "unconfirmed": unconfirmed,
        "back_failures": [failure.as_dict() for failure in back.failures],
    }
    if unconfirmed:
        names = ", ".join(unconfirmed)
        return Outcome(
            DeployState.FAILED,
            f"{cause.sentence()}; not known to be back: {names} (a node that was armed puts itself "
            f"back within {confirm_seconds:g} s, also at its next boot)",
            result,
        )
    if not touched:
        return nothing_touched(cause)
    count = len(touched)
    return Outcome(
        DeployState.ROLLED_BACK,
        f"{cause.sentence()}; {count} node{'s' if count != 1 else ''} put back and verified",
        result,
    )


def nothing_touched(cause: Failure) -> Outcome:
    """The outcome of a refusal: something was wrong, and no node was changed."""
    return Outcome(
        DeployState.FAILED,
        f"{cause.sentence()}; no node was touched",
        {"cause": cause.as_dict(), "touched": [], "put_back": [], "unconfirmed": []},
    )


def with_runs(outcome: Outcome, **runs: Progress) -> Outcome:
    """``outcome`` with durations, changes and notes of its runs (``forward``, ``back``) in it."""
    parts = {
        name: {
            "phases": {host: dict(seconds) for host, seconds in progress.phases.items()},
            "changed": sorted(progress.changed),
            "notes": list(progress.notes),
            "evidence": {host: dict(seen) for host, seen in progress.evidence.items()},
        }
        for name, progress in runs.items()
    }
    seen = max((one.seen for run in runs.values() for one in run.failures), default=0)
    more = {"seen": seen} if seen else {}
    return replace(outcome, result={**outcome.result, **more, "runs": parts})
