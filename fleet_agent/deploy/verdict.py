"""What a run came to: pure decisions between the events of a run and the state of a deploy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fleet_agent.deploy.playbook import PlaybookEnd
from fleet_agent.deploy.progress import Failure, Progress
from fleet_agent.errors import EXIT_FAILED, EXIT_OK, EXIT_ROLLED_BACK
from fleet_agent.wire import DeployState

# Marks a result of which only ``in_short`` is left.
IN_SHORT = "in_short"
_CAUSE = ("host", "phase", "task", "what", "where", "mend", "mistakes")
_HOSTS = ("touched", "put_back", "unconfirmed", "confirmed")
# Evidence of one run in the history, all nodes together; each node has its share.
_EVIDENCE_BYTES = 16 * 1024 * 1024

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
            "evidence": _bounded(progress.evidence),
        }
        for name, progress in runs.items()
    }
    seen = max((one.seen for run in runs.values() for one in run.failures), default=0)
    more = {"seen": seen} if seen else {}
    return replace(outcome, result={**outcome.result, **more, "runs": parts})


def _bounded(evidence: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Evidence by host and phase, without that of hosts that say more than their share."""
    share = _EVIDENCE_BYTES // max(1, len(evidence))
    sizes = {host: len(json.dumps(seen)) for host, seen in evidence.items()}
    return {
        host: dict(seen)
        if sizes[host] <= share
        else {"left out": f"{sizes[host]} bytes, {share} are kept"}
        for host, seen in evidence.items()
    }


def in_short(result: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of the result of an old deploy: what was decided, why, and on which nodes."""
    cause = result.get("cause")
    short: dict[str, Any] = {name: result[name] for name in _HOSTS if name in result}
    if isinstance(cause, Mapping):
        short["cause"] = {name: cause[name] for name in _CAUSE if name in cause}
    return {**short, IN_SHORT: True}
