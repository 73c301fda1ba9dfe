"""What a run came to."""

from __future__ import annotations

from fleet_agent.deploy.playbook import PlaybookEnd
from fleet_agent.deploy.progress import Failure, Progress
from fleet_agent.deploy.verdict import Outcome, cause_of, going_back, nothing_touched, with_runs
from fleet_agent.wire import DeployState

HOSTS = ("a", "b")
ALL = frozenset(HOSTS)
FAILURE = Failure(host="a", phase="verify", task="t", what="not healthy")
LOST = Failure(host="b", phase="verify", task="t", what="cannot be reached", unreachable=True)


def test_success_needs_every_host_through_and_exit_0() -> None:
    assert cause_of(Progress(through=ALL), PlaybookEnd(0), HOSTS, "") is None


def test_a_run_that_touched_no_host_is_a_failure_though_it_exits_0() -> None:
    cause = cause_of(Progress(), PlaybookEnd(0), HOSTS, "")
    assert cause is not None
    assert "a, b" in cause.what


def test_a_nodes_own_failure_is_named_before_an_unreachable_one() -> None:
    cause = cause_of(Progress(failures=(LOST, FAILURE)), PlaybookEnd(4), HOSTS, "")
    assert cause == FAILURE


def test_a_run_ended_from_outside_says_why_and_who_is_missing() -> None:
    cause = cause_of(Progress(through=frozenset("a")), PlaybookEnd(-1, "too long"), HOSTS, "")
    assert cause is not None
    assert "too long" in cause.what
    assert "b" in cause.what


def test_ansibles_last_words_are_kept_when_no_host_said_anything() -> None:
    cause = cause_of(Progress(), PlaybookEnd(4), HOSTS, "ERROR! no site.yml")
    assert cause is not None
    assert "no site.yml" in cause.what


def test_rolled_back_only_when_every_wanted_host_came_back_verified() -> None:
    forward = Progress(touched=ALL)
    assert going_back(FAILURE, forward, Progress(through=ALL), ALL, 60).state is (
        DeployState.ROLLED_BACK
    )
    half = going_back(FAILURE, forward, Progress(through=frozenset("a")), ALL, 60)
    assert half.state is DeployState.FAILED
    assert half.result["unconfirmed"] == ["b"]
    assert "60 s" in half.reason


def test_a_refusal_that_touched_nothing_is_failed_not_rolled_back() -> None:
    outcome = going_back(FAILURE, Progress(), Progress(through=ALL), ALL, 60)
    assert outcome.state is DeployState.FAILED
    assert "no node was touched" in outcome.reason


def test_the_highest_number_that_a_refusing_node_has_seen_is_in_the_result() -> None:
    refused = Failure(host="a", phase="preflight", task="t", what="refused", seen=41)
    run = Progress(failures=(refused, FAILURE))
    assert with_runs(nothing_touched(refused), forward=run).result["seen"] == 41
    assert "seen" not in with_runs(nothing_touched(FAILURE), forward=Progress()).result


def test_evidence_has_an_end_in_the_history_and_one_node_takes_none_of_the_others() -> None:
    evidence = {"a": {"audit": {"x": "y" * 9_000_000}}, "b": {"audit": {"x": "y"}}}
    outcome = Outcome(DeployState.VERIFIED, "", {})
    kept = with_runs(outcome, forward=Progress(evidence=evidence)).result["runs"]["forward"]
    assert kept["evidence"]["b"] == evidence["b"]
    assert "9000020 bytes" in kept["evidence"]["a"]["left out"]
