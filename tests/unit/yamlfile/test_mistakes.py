"""Mistakes: all are kept in the order of the lines, bounded, fit for a terminal."""

from __future__ import annotations

from fleet_agent.limits import Limits
from fleet_agent.yamlfile.mistakes import Mistake, Mistakes, MistakesError, near


def test_mistakes_come_in_the_order_of_the_lines() -> None:
    mistakes = Mistakes("f.yaml", Limits())
    for line in (3, 1, 2):
        mistakes.add(line, "", f"wrong {line}", "mend it")
    assert [found.line for found in mistakes.all()] == [1, 2, 3]


def test_over_the_limit_they_are_only_counted() -> None:
    mistakes = Mistakes("f.yaml", Limits({"yaml_mistakes": 2}))
    for line in range(1, 6):
        mistakes.add(line, "", "wrong", "mend it")
    assert mistakes.full
    assert [found.what for found in mistakes.all()] == [
        "wrong",
        "wrong",
        "3 more mistakes like these",
    ]


def test_text_from_the_file_cannot_steer_a_terminal_or_flood_it() -> None:
    mistakes = Mistakes("f.yaml", Limits())
    mistakes.add(1, "a.\x1b[2J", "is " + "x" * 10_000, "mend it")
    (found,) = mistakes.all()
    assert "\x1b" not in found.key
    assert len(found.what) < 400


def test_a_mistake_reads_as_a_line_of_a_compiler() -> None:
    assert (
        str(Mistake("f.yaml", 3, "a.b", "is wrong", "mend it"))
        == "f.yaml:3 a.b: is wrong (mend it)"
    )
    assert str(Mistake("f.yaml", 3, "", "is wrong", "")) == "f.yaml:3 is wrong"
    assert str(Mistake("f.yaml", 0, "", "is empty", "")) == "f.yaml: is empty"


def test_an_error_of_mistakes_says_each_of_them() -> None:
    error = MistakesError("the file has 1 mistake", (Mistake("f.yaml", 1, "a", "is wrong", ""),))
    assert str(error) == "the file has 1 mistake; f.yaml:1 a: is wrong"


def test_near() -> None:
    assert near("hots", ("host", "role")) == "host"
    assert near("HOST", ("host", "role")) == "host"
    assert near("xyz", ("host", "role")) == ""
