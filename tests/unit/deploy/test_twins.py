"""Which delivery and which entry needs no deploy of its own (docs/decisions/0003)."""

from __future__ import annotations

import pytest

from fleet_agent.deploy.entry import Attempt, Event, FleetNow
from fleet_agent.deploy.source import Peeled
from fleet_agent.deploy.twins import absorbs, judge, worn_out
from fleet_agent.wire import DeployState as S

C0, C1, T1, LOST = "0" * 39 + "a", "1" * 40, "7" * 40, "f" * 40
KNOWN = {C0, C1, T1}


def push(hint: str) -> Event:
    return Event(9, hint, False)


def create(hint: str) -> Event:
    return Event(9, hint, True)


def attempt(commit: str, *events: Event, tag: str = "", state: S = S.ROLLED_BACK) -> Attempt:
    return Attempt(1, state, commit, tag or commit, events)


@pytest.mark.parametrize(
    ("latest", "hint", "twin", "folds"),
    [
        (None, C1, True, False),
        (attempt(C1, push(C1)), C1, True, True),
        (attempt(C1, push(T1), tag=T1), T1, True, True),
        (attempt(C1, push(T1), tag=T1), C1, True, True),
        (attempt(C1, push(C1)), C0, True, False),
        (attempt(C1, push(C1)), "", True, False),
        # A push is anew, unless only its second event was seen so far.
        (attempt(C1, push(C1)), C1, False, False),
        (attempt(C1, create(C1)), C1, False, True),
        (attempt(C1, push(C0)), C1, False, True),
        (attempt(C1, create(C1), push(C1)), C1, False, False),
        # Not peeled yet (running), or never (superseded): the hints stand for it.
        (attempt("", push(C1), state=S.RUNNING), C1, True, True),
        (attempt("", push(C1), state=S.SUPERSEDED), C1, True, True),
        (attempt("", push(C1), state=S.RUNNING), C0, True, False),
        (attempt("", create(C1), state=S.RUNNING), C1, False, True),
        (attempt("", push(C1), state=S.RUNNING), C1, False, False),
    ],
)
def test_a_delivery_folds_into_the_deploy_that_answers_its_push(
    latest: Attempt | None, hint: str, twin: bool, folds: bool
) -> None:
    assert absorbs(latest, hint, twin=twin) is folds


@pytest.mark.parametrize(
    ("now", "events", "attempts", "runs"),
    [
        # First sight of a commit, by whichever event.
        (C1, [push(C1)], [], True),
        (C1, [create(C1)], [], True),
        (C1, [push(C0)], [], True),
        (C1, [create(C0)], [attempt(C0, push(C0))], True),
        # The second event alone never repeats.
        (C1, [create(C1)], [attempt(C1, push(C1))], False),
        (C1, [create("")], [attempt(C1, push(C1))], False),
        (C1, [create(C1)], [attempt(C0), attempt(C1, push(C1))], True),
        # A new push does, each once.
        (C1, [push(C1)], [attempt(C1, push(C1))], True),
        (C1, [push(C1)], [attempt(C1, create(C1))], False),
        (C1, [push(C1), push(C1)], [attempt(C1, create(C1))], True),
        (C1, [create(C1), push(C1)], [attempt(C1, push(C1))], True),
        (C1, [create(C1), push(C1)], [attempt(C1, create(C1))], False),
        # A late push to where the tag was before adds nothing to where it is now.
        (C0, [push(C1)], [attempt(C0, push(C0))], False),
        (C0, [push(C1)], [attempt(C1, push(C1))], True),
        # What the repository does not know says nothing.
        (C0, [push(LOST)], [attempt(C0, push(C0))], True),
        # By hand: no events.
        (C1, [], [attempt(C1)], True),
    ],
)
def test_an_entry_runs_unless_each_of_its_deliveries_is_answered(
    now: str, events: list[Event], attempts: list[Attempt], runs: bool
) -> None:
    nothing = judge(Peeled("refs/tags/PROD", now, now), events, attempts, None, KNOWN)
    assert (nothing is None) is runs
    if nothing is not None:
        assert (nothing.state, nothing.twin_of) == (S.FAILED, 1)
        assert "push the tag anew" in nothing.reason


def test_a_tag_object_is_where_the_ref_is_too() -> None:
    now = Peeled("refs/tags/PROD", C1, T1)
    tried = [attempt(C1, push(T1), tag=T1)]
    assert judge(now, [push(T1)], tried, None, KNOWN) is None
    assert judge(now, [push(C1)], tried, None, KNOWN) is None
    assert judge(now, [create(T1)], tried, None, KNOWN) is not None


def test_what_the_fleet_runs_is_not_run_again_unless_a_node_is_in_doubt() -> None:
    now = Peeled("refs/tags/PROD", C1, C1)
    nothing = judge(now, [push(C1)], [], FleetNow(3, C1, unsure=False), KNOWN)
    assert nothing is not None and nothing.state is S.VERIFIED
    assert "since deploy 3" in nothing.reason
    assert judge(now, [push(C1)], [], FleetNow(3, C1, unsure=True), KNOWN) is None
    assert judge(now, [push(C1)], [], FleetNow(3, C0, unsure=False), KNOWN) is None


def test_a_commit_that_keeps_failing_is_tried_a_few_times_by_webhooks() -> None:
    now = Peeled("refs/tags/PROD", C1, C1)
    assert worn_out(now, 4, 5) is None
    nothing = worn_out(now, 5, 5)
    assert nothing is not None
    assert nothing.state is S.FAILED
    assert "fleet-agent deploy" in nothing.reason
