"""Unit files read as systemd reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet_agent.errors import ConfigError
from fleet_agent.setup.supervisor.unitfile import load, parse, resolve, seconds, template_of


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_an_instance_is_made_of_its_template_and_of_both_drop_in_folders(tmp_path: Path) -> None:
    write(tmp_path, "w@.service", "[Service]\nExecStart=/bin/a %i\nEnvironment=A=1\n")
    write(tmp_path, "w@.service.d/10.conf", "[Service]\nEnvironment=B=2\n")
    write(tmp_path, "w@ezra.service.d/20.conf", "[Service]\nEnvironment=C=3\n")
    write(tmp_path, "w@ezra.service.d/notes.txt", "not a drop-in")
    unit = load(str(tmp_path), "w@ezra.service")
    assert unit is not None
    assert unit.last("Service", "ExecStart") == "/bin/a ezra"
    assert unit.all("Service", "Environment") == ("A=1", "B=2", "C=3")
    assert [Path(path).name for path in unit.paths] == ["w@.service", "10.conf", "20.conf"]


def test_an_empty_assignment_drops_those_before_it(tmp_path: Path) -> None:
    write(tmp_path, "a.service", "[Service]\nExecStart=/bin/a\nExecStart=\nExecStart=/bin/b\n")
    unit = load(str(tmp_path), "a.service")
    assert unit is not None
    assert unit.all("Service", "ExecStart") == ("/bin/b",)


def test_what_has_no_file_is_none(tmp_path: Path) -> None:
    assert load(str(tmp_path), "a.service") is None


def test_comments_blanks_and_continued_lines_are_understood() -> None:
    text = "# x\n\n[Service]\n; y\nExecStart=/bin/a \\\n# z\n  --b \\\n  c\n[Unit]\nAfter=x\n"
    assert [(one.section, one.key, one.value) for one in parse(text, "x")] == [
        ("Service", "ExecStart", "/bin/a --b c"),
        ("Unit", "After", "x"),
    ]


@pytest.mark.parametrize(
    ("text", "line"), [("[Service\nA=b\n", 1), ("A=b\n", 1), ("[Unit]\nA=b\nnothing\n", 3)]
)
def test_a_line_that_is_no_assignment_is_named(text: str, line: int) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "a.service")
    assert caught.value.where == f"a.service:{line}"


def test_specifiers_name_instance_unit_and_directories() -> None:
    assert resolve("%i %n %N %p %t %S %E %%h", "w@a-b.service") == (
        "a-b w@a-b.service w@a-b w /run /var/lib /etc %h"
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("90", 90), ("100ms", 0.1), ("1min 30s", 90), ("1.5h", 5400), ("infinity", float("inf"))],
)
def test_time_spans_are_seconds(text: str, wanted: float) -> None:
    assert seconds(text, "x") == pytest.approx(wanted)


@pytest.mark.parametrize("text", ["", "soon", "5 parsecs", "5s!"])
def test_what_is_no_time_span_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        seconds(text, "x")


def test_only_instances_have_a_template() -> None:
    assert template_of("w@ezra.socket") == "w@.socket"
    assert template_of("w.socket") == ""
