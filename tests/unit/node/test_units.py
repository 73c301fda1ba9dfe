"""What systemctl prints, as values."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from fleet_agent.errors import NodeError
from fleet_agent.node.layout import Layout
from fleet_agent.node.units import Ref, State, Units, _state, ref

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


def test_a_users_manager_that_is_gone_hides_only_its_own_units(tmp_path: Path) -> None:
    ask = tmp_path / "systemctl"
    ask.write_text(
        "#!/bin/sh\n"
        'for word; do [ "$word" != --user ] || { echo "no bus" >&2; exit 1; }; done\n'
        'printf "LoadState=loaded\\nActiveState=active\\n"\n'
    )
    ask.chmod(0o755)
    user = pwd.getpwuid(os.geteuid()).pw_name
    theirs, ours = Ref("hermes.service", user), Ref("fleet-agent@ezra.service")
    units = Units(Layout(systemctl=(str(ask),)), 1.0)
    seen = units.show([theirs, ours])
    assert seen[ours].is_active
    assert not seen[theirs].is_active
    failure = units.failure(theirs, seen[theirs], 0.0)
    assert "no bus" in failure.what
    assert f"loginctl enable-linger {user}" in failure.mend


def test_a_stop_that_systemd_cancels_is_asked_for_again(tmp_path: Path) -> None:
    ask, asked = tmp_path / "systemctl", tmp_path / "asked"
    ask.write_text(
        f"#!/bin/sh\necho >> {asked}\n"
        f'[ "$(wc -l < {asked})" -gt "$(cat {tmp_path}/cancels)" ] && exit 0\n'
        "echo canceled >&2; exit 1\n"
    )
    ask.chmod(0o755)
    units = Units(Layout(systemctl=(str(ask),)), 1.0)
    (tmp_path / "cancels").write_text("2")
    units.stop([Ref("fleet-agent@ezra.socket")])
    assert asked.read_text().count("\n") == 3
    (tmp_path / "cancels").write_text("1000")
    with pytest.raises(NodeError, match="could not be stopped: canceled"):
        units.stop([Ref("fleet-agent@ezra.socket")])
