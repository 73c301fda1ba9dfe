"""What goes to which stream, when it is coloured, and what a terminal must not be told."""

from __future__ import annotations

import io
import json

import pytest

from fleet_agent.cli.output import Output, error_lines, error_value, printable
from fleet_agent.errors import FleetError
from fleet_agent.yamlfile.mistakes import Mistake, MistakesError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def output(stdout: io.StringIO, **options: bool) -> Output:
    return Output(stdout, io.StringIO(), **options)


def test_text_for_people_is_silent_under_json() -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    out = Output(stdout, stderr, json=True)
    out.line("hello")
    out.table(("A",), [("b",)])
    out.note("remark")
    out.value({"a": "é"})
    assert stdout.getvalue() == '{"a": "é"}\n'
    assert stderr.getvalue() == "remark\n"


def test_json_is_one_line_for_programs_and_indented_on_a_terminal() -> None:
    piped, terminal = io.StringIO(), Terminal()
    output(piped).value({"a": 1})
    output(terminal).value({"a": 1})
    assert piped.getvalue() == '{"a": 1}\n'
    assert json.loads(terminal.getvalue()) == {"a": 1}
    assert terminal.getvalue().count("\n") > 1


def test_colour_is_for_terminals() -> None:
    assert output(Terminal()).paint("red", "x") == "\x1b[31mx\x1b[0m"
    assert output(io.StringIO()).paint("red", "x") == "x"
    assert output(Terminal(), json=True).paint("red", "x") == "x"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_the_environment_may_refuse_colour(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout", Terminal())
    assert Output.of_process().paint("red", "x") != "x"
    monkeypatch.setenv(name, value)
    assert Output.of_process().paint("red", "x") == "x"


def test_health_words_have_their_colour() -> None:
    out = output(Terminal())
    assert out.health("pass").startswith("\x1b[32m")
    assert out.health("fail").startswith("\x1b[31m")
    assert out.health("whatever") == "whatever"


def test_columns_are_as_wide_as_their_widest_cell_whatever_its_colour() -> None:
    stdout = Terminal()
    out = output(stdout)
    out.table(("A", "B"), [(out.paint("red", "long cell"), "x"), ("y", "z")])
    lines = [line.replace("\x1b[31m", "").replace("\x1b[0m", "") for line in
             stdout.getvalue().replace("\x1b[1m", "").splitlines()]  # fmt: skip
    assert lines == ["A          B", "long cell  x", "y          z"]


def test_text_from_elsewhere_cannot_steer_a_terminal() -> None:
    assert printable("a\x1b[2Jb\n") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}"
    assert printable("é ✓ ok") == "é ✓ ok"


def test_an_error_is_written_as_what_where_mend() -> None:
    error = FleetError("it broke", where="unit x.service", mend="look at it")
    assert error_lines(error) == [
        "fleet-agent: it broke",
        "  where: unit x.service",
        "  mend: look at it",
    ]
    assert error_lines(FleetError("it broke")) == ["fleet-agent: it broke"]
    assert error_value(error) == {
        "error": {"what": "it broke", "where": "unit x.service", "mend": "look at it"}
    }


def test_an_error_of_mistakes_is_written_with_each() -> None:
    error = MistakesError("it has one", (Mistake("f", 1, "a", "is wrong", ""),))
    assert error_lines(error) == ["fleet-agent: it has one", "  f:1 a: is wrong"]


def test_a_stream_that_is_not_there_swallows() -> None:
    out = Output(None, None)
    out.line("x")
    out.note("x")
    out.flush()
    assert not out.is_terminal


def test_words_of_a_node_in_an_error_steer_no_terminal() -> None:
    lines = error_lines(FleetError("no\n\x1b]0;owned\x07", where="a\x1b[2J", mend="\u202eb\tc"))
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)


def test_json_of_a_nodes_words_steers_no_terminal_and_means_the_same() -> None:
    stdout = Terminal()
    said = {"é": ["\x9b2J\u202egood\ud800\x7f", "naïve 🧙\u200d"], "a": "b\n\x1b[2J"}
    output(stdout, json=True).value(said)
    text = stdout.getvalue()
    assert all(char.isprintable() or char == "\n" for char in text)
    assert "naïve 🧙" in text
    assert json.loads(text) == said
