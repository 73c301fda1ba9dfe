"""A run's events, folded."""

from __future__ import annotations

from fleet_agent.deploy.progress import Progress, fold

START = {"event": "start", "phase": "baseline", "host": "a", "task": "t"}
OK = {"event": "ok", "phase": "audit", "host": "a", "task": "t", "seconds": 0.5, "changed": False}


def test_a_host_counts_as_maybe_touched_from_the_start_of_baseline_on() -> None:
    assert fold([{**START, "phase": "preflight"}]).maybe_touched == frozenset()
    assert fold([START]).maybe_touched == {"a"}


def test_a_host_is_through_only_when_its_audit_ended_well() -> None:
    assert fold([START]).through == frozenset()
    assert fold([{**OK, "phase": "verify"}]).through == frozenset()
    assert fold([OK]).through == {"a"}


def test_a_failure_after_the_audit_takes_the_host_back_out() -> None:
    later = {"event": "failed", "phase": "audit", "host": "a", "task": "own", "message": "no"}
    assert fold([OK, later]).through == frozenset()


def test_the_nodes_own_words_become_the_failure() -> None:
    error = {"what": "exit 203", "where": "unit x.service", "mend": "look", "unit_log": ["boom"]}
    event = {"event": "failed", "phase": "services", "host": "a", "result": {"error": error}}
    failure = fold([event]).failures[0]
    assert failure.sentence() == "a failed in services (unit x.service): exit 203"
    assert failure.unit_log == ("boom",)


def test_an_unreachable_host_is_said_to_be_so_with_the_mend() -> None:
    event = {"event": "unreachable", "phase": "deploy", "host": "a", "message": "no route"}
    failure = fold([event]).failures[0]
    assert failure.unreachable
    assert "cannot be reached" in failure.what
    assert failure.mend


def test_a_silent_host_is_one_that_cannot_be_reached_or_has_a_slow_sudo() -> None:
    said = "Timeout (12s) waiting for privilege escalation prompt: "
    event = {"event": "failed", "phase": "preflight", "host": "a", "message": said}
    failure = fold([event]).failures[0]
    assert failure.unreachable
    assert failure.what == f"cannot be reached: {said}"
    assert "/etc/hosts" in failure.mend


def test_a_phase_that_ansible_gave_up_in_its_own_words_has_a_mend() -> None:
    event = {"event": "failed", "phase": "soul", "host": "a", "message": "Task failed: a bug"}
    assert fold([event]).failures[0].mend == "", "an operator's task speaks for itself"
    failure = fold([{**event, "unanswered": True}]).failures[0]
    assert "ansible.log" in failure.mend
    assert "ssh" in failure.mend
    assert not failure.unreachable


def test_an_ignored_failure_of_an_operators_task_is_no_failure() -> None:
    event = {"event": "failed", "phase": "deploy", "host": "a", "ignored": True, "message": "x"}
    assert fold([event]).failures == ()


def test_seconds_of_our_task_and_the_operators_add_up_by_phase() -> None:
    progress = fold([OK, {**OK, "seconds": 0.25}])
    assert progress.phases == {"a": {"audit": 0.75}}


def test_events_without_a_host_change_nothing() -> None:
    assert (
        fold([{"event": "stats", "hosts": {}}, {"event": "phase", "phase": "soul"}]) == Progress()
    )
