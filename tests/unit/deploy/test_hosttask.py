"""What goes to a node and what its answer means."""

from __future__ import annotations

from fleet_agent.deploy import hosttask
from fleet_agent.deploy.hosttask import answer, no_such_code
from fleet_agent.wire import Phase


def test_the_last_json_line_is_the_answer_whatever_a_banner_said_before() -> None:
    said = answer(Phase.SOUL, 0, 'Welcome {to} this host\n{"ok": true, "changed": true}\n', "")
    assert said.ok
    assert said.changed


def test_no_answer_is_a_failure_with_the_programs_last_words() -> None:
    said = answer(Phase.SOUL, 1, "", "Traceback: boom")
    assert not said.ok
    assert said.error is not None
    assert "boom" in said.error["what"]


def test_an_exit_code_0_without_an_answer_is_no_success() -> None:
    assert not answer(Phase.VERIFY, 0, "", "").ok


def test_json_that_is_no_result_is_no_success() -> None:
    assert not answer(Phase.VERIFY, 0, '{"ok": "yes"}', "").ok


def test_a_bare_node_is_told_from_a_failing_one() -> None:
    missing = "/usr/bin/python3: can't open file '/opt/x.pyz': [Errno 2] No such file"
    assert no_such_code(2, missing)
    assert not no_such_code(1, missing)
    assert not no_such_code(2, "spec not understood")


def test_a_phase_that_met_itself_after_a_broken_connection_is_told_from_a_failing_one() -> None:
    met = "Failed to start transient service unit: Unit x.service " + (
        "was already loaded or has a fragment file."
    )
    assert hosttask.still_runs(1, met)
    assert not hosttask.still_runs(0, met)
    assert not hosttask.still_runs(1, "Failed to start transient service unit: Access denied")


def test_a_note_is_added_and_nothing_else_changes() -> None:
    said = answer(Phase.SOUL, 0, '{"ok": true, "notes": ["one"]}', "")
    noted = hosttask.with_note(said, hosttask.BROKE)
    assert noted.notes == ("one", hosttask.BROKE)
    assert noted.ok
