"""What systemctl prints, as values."""

from __future__ import annotations

from fleet_agent.node.units import Ref, State, _state, ref

RUNNING = """\
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
Result=success
ExecMainStatus=0
MainPID=124
InvocationID=0123abcd
NRestarts=2
ActiveEnterTimestampMonotonic=2500000
ExecMainStartTimestampMonotonic=2000000
NeedDaemonReload=no
"""


def test_a_running_unit() -> None:
    state = _state(RUNNING)
    assert (state.known, state.is_active, state.enabled, state.has_failed) == (
        True, True, True, False
    )  # fmt: skip
    assert (state.pid, state.invocation, state.restarts, state.started) == (124, "0123abcd", 2, 2.0)


def test_a_unit_that_does_not_exist() -> None:
    state = _state("LoadState=not-found\nActiveState=inactive\nSubState=dead\n")
    assert state == State()._replace(exit_status="", result="")
    assert not state.known


def test_a_socket_has_no_main_process_and_starts_when_it_becomes_active() -> None:
    shown = "ActiveState=active\nSubState=listening\nActiveEnterTimestampMonotonic=3000000\n"
    assert _state(shown).started == 3.0


def test_dying_and_being_tried_again_is_a_failure_and_not_a_start() -> None:
    state = _state("LoadState=loaded\nActiveState=activating\nSubState=auto-restart\n")
    assert state.has_failed
    assert not state.is_active


def test_a_units_key_names_its_scope_and_comes_back() -> None:
    for one in (Ref("hermes.service"), Ref("hermes.service", "ezra")):
        assert ref(one.key) == one
