"""Commands of units as argument lists."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fleet_agent.errors import ConfigError
from fleet_agent.release.unitfile import exec_line
from fleet_agent.setup.supervisor.command import command, environment_file, moved, split
from fleet_agent.setup.supervisor.unitfile import resolve

WORDS = ["/bin/a", "", "b c", "it's", 'say "x"', "$HOME", "${HOME}", "100%", "\\", "a\tb", "ü"]


def argv(line: str, root: str = "/", **env: str) -> list[str]:
    return list(command(line, env, root, "x").argv)


def test_a_word_that_is_a_variable_becomes_as_many_words_as_it_has() -> None:
    assert argv("/bin/a $B ${B} x$B", B="1 2") == ["/bin/a", "1", "2", "1 2", "x1 2"]


def test_a_doubled_dollar_is_a_dollar() -> None:
    assert argv("/bin/a $$HOME", HOME="/h") == ["/bin/a", "$HOME"]


def test_a_dash_lets_a_command_fail_and_a_colon_leaves_dollars_alone() -> None:
    assert command("-/bin/a", {}, "/", "x").may_fail
    assert argv(":/bin/a $B", B="1") == ["/bin/a", "$B"]


def test_what_a_release_writes_comes_back_word_for_word() -> None:
    assert argv(resolve(exec_line(WORDS), "w@x.service"), HOME="/h") == WORDS


@pytest.mark.parametrize("line", ["", "  ", "/bin/a 'b", '/bin/a "b'])
def test_an_empty_command_and_an_open_quote_are_refused(line: str) -> None:
    with pytest.raises(ConfigError):
        argv(line)


def test_quotes_join_what_stands_beside_them() -> None:
    assert split("""a"b c"'d e' '' f""", "x") == ["ab cd e", "", "f"]


def test_only_a_nodes_own_paths_move_and_only_once() -> None:
    root = "/r/node"
    line = "/usr/bin/python3 /opt/fleet-agent/code --at=/run/fleet-agent/x /optical"
    there = moved(line, root)
    assert there == (
        "/usr/bin/python3 /r/node/opt/fleet-agent/code --at=/r/node/run/fleet-agent/x /optical"
    )
    assert moved(there, root) == there
    assert moved(line, "/") == line


def test_below_a_folder_python_is_the_one_that_runs_the_demo() -> None:
    assert argv("/usr/bin/python3 -I x", "/r")[0] == sys.executable
    assert argv("/usr/bin/python3 -I x", "/")[0] == "/usr/bin/python3"


def test_an_environment_file_may_be_absent_only_behind_a_dash(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text('# what\nA=1\nB="two words"\n')
    assert environment_file(str(file), "/") == {"A": "1", "B": "two words"}
    assert environment_file(f"-{tmp_path}/none", "/") == {}
    with pytest.raises(ConfigError):
        environment_file(f"{tmp_path}/none", "/")
