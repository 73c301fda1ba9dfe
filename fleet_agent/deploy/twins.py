"""One deploy a push: which delivery, and which queued entry, needs no deploy of its own. Pure.

A push arrives as one or two events, late, repeated and in any order. The rules and why they are
so: docs/decisions/0003-one-deploy-a-push.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fleet_agent.deploy.entry import Attempt, Event, FleetNow
from fleet_agent.forge.refs import short
from fleet_agent.wire import DeployState


@dataclass(frozen=True, slots=True)
class Nothing:
    """No run: the state that the entry ends in, why, and which deploy already answered."""

    state: DeployState
    reason: str
    twin_of: int | None = None


def absorbs(latest: Attempt | None, hint: str, *, twin: bool) -> bool:
    """Whether ``latest``, the last begun deploy of the ref, already answers a new delivery.

    Then the delivery folds into it, also when it has ended. It must point where that deploy's
    ref pointed; and a push (not its twin) only finds room where no push is counted yet.
    """
    if latest is None or not latest.is_at(hint):
        return False
    return twin or not latest.answered_push


def judge(
    commit: str, events: Sequence[Event], attempts: Sequence[Attempt], fleet: FleetNow | None
) -> Nothing | None:
    """Whether a queued entry of the hook, whose ref is now at ``commit``, is to be run.

    ``events`` are its deliveries, ``attempts`` the earlier deploys of the same ref, newest first.
    """
    if fleet is not None and fleet.commit == commit and not fleet.unsure:
        return Nothing(
            DeployState.VERIFIED,
            f"nothing to do: the fleet already runs {short(commit)} since deploy {fleet.deploy}",
        )
    pushes = [event for event in events if not event.twin]
    if not pushes:
        return _twin(commit, attempts)
    room = [one for one in attempts if one.commit == commit and not one.answered_push]
    answered: list[Attempt] = []
    for push in pushes:
        found = next((one for one in room if one.is_at(push.hint) and one not in answered), None)
        if found is None:
            return None  # a push that no deploy has answered
        answered.append(found)
    return _answered(commit, answered[0], "the push that began it")


def _twin(commit: str, attempts: Sequence[Attempt]) -> Nothing | None:
    # Only a push makes a commit be tried again; its second event alone never does.
    if attempts and attempts[0].commit == commit:
        return _answered(commit, attempts[0], "an event of the same push")
    return None


def _answered(commit: str, by: Attempt, what: str) -> Nothing:
    return Nothing(
        DeployState.FAILED,
        f"nothing was run: this is {what}, and deploy {by.deploy} already answered it with "
        f"{short(commit)} ({by.state}); push the tag anew, or run fleet-agent deploy, to try again",
        by.deploy,
    )
