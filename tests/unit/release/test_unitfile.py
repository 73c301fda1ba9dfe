"""Drop-ins: whatever a registry says, it stays a word of the line that it belongs to."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.errors import ConfigError
from fleet_agent.release import unitfile


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("plain", '"plain"'),
        ("100%", '"100%%"'),
        ("$HOME", '"$HOME"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("two\nlines", '"two\\x0alines"'),
        ("", '""'),
        (";", '";"'),
    ],
)
def test_a_word_is_passed_on_as_it_is(word: str, written: str) -> None:
    assert unitfile.exec_line(["/bin/agent", word]) == f':"/bin/agent" {written}'


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_no_word_can_begin_a_line_of_its_own(words: list[str]) -> None:
    if any("\0" in word for word in words):
        with pytest.raises(ConfigError):
            unitfile.exec_line(words)
        return
    text = unitfile.command_conf("ezra", words)
    assert text.splitlines(keepends=False)[:3] == ["[Service]", "User=ezra", "ExecStart="]
    assert text.count("\n") == 4


@pytest.mark.parametrize("command", [(), ("",), ("a\0b",)])
def test_what_is_no_command_is_refused(command: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError):
        unitfile.exec_line(command)


@pytest.mark.parametrize("name", ["root\nExecStart=/bin/sh", "", "Ezra", "-x", "a" * 33, "a b"])
def test_a_user_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        unitfile.account(name)


def test_systemd_reads_back_the_very_words(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.fail("systemd-analyze is needed: apt-get install systemd")
    words = ["/bin/echo", "50% of $HOME", 'a "b" \\ c', "tab\there", "", ";"]
    unit = tmp_path / "probe.service"
    unit.write_text(f"[Service]\nExecStart={unitfile.exec_line(words)}\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if "probe.service" in line]
    assert complaints == []


def test_our_directories_are_moved_and_nothing_that_only_looks_like_them() -> None:
    text = "A=/opt/fleet-agent/current\nB=/opt/fleet-agent2\nC=/home/opt/fleet-agent\n"
    moved = unitfile.rooted(text, "/r")
    assert moved == "A=/r/opt/fleet-agent/current\nB=/opt/fleet-agent2\nC=/home/opt/fleet-agent\n"
    assert unitfile.rooted(text, "/") == text
