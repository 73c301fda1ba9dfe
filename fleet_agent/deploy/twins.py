"""One deploy a push: which delivery, and which queued entry, needs no deploy of its own. Pure.

A push arrives as one or two events, late, repeated and in any order. The rules and why they are
so: docs/decisions/0003-one-deploy-a-push.md.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from fleet_agent.deploy.entry import Attempt, Event, FleetNow
from fleet_agent.deploy.source import Peeled
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
    now: Peeled,
    events: Sequence[Event],
    attempts: Sequence[Attempt],
    fleet: FleetNow | None,
    known: Container[str],
) -> Nothing | None:
    """Whether a queued entry of the hook, whose ref is now where ``now`` says, is to be run.

    ``events`` are its deliveries, ``attempts`` the earlier deploys of the same ref, newest first.
    ``known``: which of the events' hints are objects of the repository.
    """
    if fleet is not None and fleet.commit == now.commit and not fleet.unsure:
        return Nothing(
            DeployState.VERIFIED,
            f"nothing to do: the fleet already runs {short(now.commit)} "
            f"since deploy {fleet.deploy}",
        )
    last = attempts[0] if attempts and attempts[0].commit == now.commit else None
    room = [one for one in attempts if one.commit == now.commit and not one.answered_push]
    answered: Attempt | None = None
    for event in events:
        elsewhere = event.hint in known and event.hint not in (now.commit, now.tag_object)
        if event.twin or elsewhere:
            # Only a push to where the ref is now makes that commit be tried again: not the second
            # event of one, and not a late push to where the ref was before.
            found = last
        else:
            found = next((one for one in room if one.is_at(event.hint)), None)
            room = [one for one in room if one is not found]
        if found is None:
            return None
        answered = found
    return None if answered is None else _answered(now.commit, answered)


def worn_out(now: Peeled, failed: int, most: int) -> Nothing | None:
    """No run of a commit that webhooks had tried ``failed`` times lately, each in vain.

    A forge signs the body alone, and tells of two pushes of one tag in the same words: whether a
    push was made or a captured one sent again can't be told, only how often it may count.
    """
    if failed < most:
        return None
    return Nothing(
        DeployState.FAILED,
        f"nothing was run: webhooks had {short(now.commit)} tried {failed} times within the last "
        "hour, each in vain; mend it, or run fleet-agent deploy to try again",
    )


def _answered(commit: str, by: Attempt) -> Nothing:
    return Nothing(
        DeployState.FAILED,
        f"nothing was run: deploy {by.deploy} already answered this push, with {short(commit)} "
        f"({by.state}); push the tag anew, or run fleet-agent deploy, to try again",
        by.deploy,
    )
