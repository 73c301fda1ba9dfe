"""Values out of nodes: what each reader takes, and what it says of the rest."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fleet_agent.limits import Limits
from fleet_agent.yamlfile.compose import compose
from fleet_agent.yamlfile.mistakes import Mistakes
from fleet_agent.yamlfile.spot import Fields, Spot, Wrong


def spot_of(text: str) -> Spot:
    mistakes = Mistakes("f.yaml", Limits())
    node = compose(text.encode(), mistakes)
    assert node is not None, mistakes.all()
    return Spot(node, "key", mistakes)


def fields_of(text: str, known: tuple[str, ...] | None = None) -> Fields:
    fields = spot_of(text).fields(known)
    assert fields is not None
    return fields


def said(spot: Spot) -> list[tuple[str, str]]:
    return [(mistake.what, mistake.mend) for mistake in spot.mistakes.all()]


TAKEN: list[tuple[Callable[[Spot], object], str, object]] = [
    (Spot.text, "abc", "abc"),
    (Spot.text, "'no'", "no"),
    (Spot.text, '"1.10"', "1.10"),
    (Spot.text, "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
    (lambda spot: spot.whole(1, 9), "5", 5),
    (lambda spot: spot.whole(-9, 9), "-5", -5),
    (Spot.number, "1.5", 1.5),
    (Spot.number, "10", 10.0),
    (Spot.flag, "true", True),
    (Spot.flag, "false", False),
    (lambda spot: spot.choice(("a", "b")), "b", "b"),
    (lambda spot: spot.all_of(str.upper), "[a, b]", ("A", "B")),
    (lambda spot: spot.read(str.upper), "a", "A"),
    (Spot.json, "{a: [1, 2.5, true, null, ~, x, 'no', {}]}",
     {"a": [1, 2.5, True, None, None, "x", "no", {}]}),
]  # fmt: skip


@pytest.mark.parametrize(("reader", "text", "value"), TAKEN)
def test_takes(reader: Callable[[Spot], object], text: str, value: object) -> None:
    spot = spot_of(text)
    assert reader(spot) == value
    assert said(spot) == []


DIGITS = "digits such as 60 or 0.5, without quotes"
REFUSED: list[tuple[Callable[[Spot], object], str, str, str]] = [
    (Spot.text, "no", "must be text, no reads as a yes/no value", 'write "no"'),
    (Spot.text, "1.10", "must be text, 1.10 reads as a number", 'write "1.10"'),
    (Spot.text, "~", "has no value", "write one, or remove the key"),
    (Spot.text, "' '", "is empty", "write a value, or remove the key"),
    (Spot.text, "[a]", "must be text, is a list", "write a single value"),
    (Spot.text, "{a: b}", "must be text, is a mapping", "write a single value"),
    (Spot.text, '"a\\nb"', "must be one line without control characters",
     "write it in one line"),
    (Spot.text, '"a\\e[2J"', "must be one line without control characters",
     "write it in one line"),
    (Spot.text, "a" * 5000, "is longer than 4096 characters", "shorten it"),
    (lambda spot: spot.whole(1, 9), "10", "must lie between 1 and 9, is 10",
     "choose one of these"),
    (lambda spot: spot.whole(1, 9), "'5'", "must be a whole number, is '5' in quotes",
     "digits alone, without quotes"),
    (lambda spot: spot.whole(1, 9), "05", "must be a whole number, is a number ('05')",
     "digits alone, without quotes"),
    (lambda spot: spot.whole(1, 9), "9" * 30, f"must be a whole number, is a number ('{'9' * 30}')",
     "digits alone, without quotes"),
    (Spot.number, "fast", "must be a number, is 'fast'", DIGITS),
    (Spot.number, ".inf", "must be a number, is a number ('.inf')", DIGITS),
    (Spot.number, "1e999", "must be a number, is a number ('1e999')", DIGITS),
    (Spot.flag, "yes", "must be true or false, is a yes/no value ('yes')",
     "write one of them, without quotes"),
    (Spot.flag, "'true'", "must be true or false, is 'true' in quotes",
     "write one of them, without quotes"),
    (lambda spot: spot.choice(("system", "user")), "sytem", "must be system or user, is 'sytem'",
     "did you mean 'system'?"),
    (lambda spot: spot.all_of(str), "a", "must be a list, is 'a'", "write it as [one, two]"),
    (Spot.fields, "[a]", "must be a mapping, is a list", "write it as {key: value}"),
    (Spot.fields, "null", "must be a mapping, is nothing", "write it as {key: value}"),
    (Spot.json, "yes", "must be a value that YAML 1.1, 1.2 and JSON agree on, "
     "is a yes/no value ('yes')", "put text in quotes"),
    (Spot.json, "0640", "must be a value that YAML 1.1, 1.2 and JSON agree on, "
     "is a number ('0640')", "put text in quotes"),
    (Spot.json_object, "[1]", "must be a mapping, is a list", "write it as {key: value}"),
]  # fmt: skip


@pytest.mark.parametrize(("reader", "text", "what", "mend"), REFUSED)
def test_refuses(reader: Callable[[Spot], object], text: str, what: str, mend: str) -> None:
    spot = spot_of(text)
    assert reader(spot) in (None, ())
    assert said(spot) == [(what, mend)]


def test_a_list_goes_on_behind_a_mistake_and_names_each_place() -> None:
    spot = spot_of("[a, no, b, 1]")
    assert spot.all_of(str) == ("a", "b")
    assert [mistake.key for mistake in spot.mistakes.all()] == ["key[1]", "key[3]"]


def test_a_rule_says_what_is_wrong() -> None:
    def rule(text: str) -> str:
        raise Wrong(f"{text!r} is no colour", "such as blue")

    spot = spot_of("loud")
    assert spot.read(rule) is None
    assert said(spot) == [("'loud' is no colour", "such as blue")]


def test_unknown_keys_are_all_named_with_their_near_miss() -> None:
    spot = spot_of("hots: a\nrole: b\nzzz: c\n")
    spot.fields(("host", "role"))
    assert [(found.line, found.key, found.what, found.mend) for found in spot.mistakes.all()] == [
        (1, "key.hots", "unknown key", "did you mean 'host'?"),
        (3, "key.zzz", "unknown key", "known here: host, role"),
    ]


def test_a_missing_key_is_named() -> None:
    spot = spot_of("a: 1\n")
    fields = spot.fields()
    assert fields is not None
    assert fields.need("host", "say it") is None
    assert fields.at("host") is None
    assert "a" in fields
    assert len(fields) == 1
    (found,) = spot.mistakes.all()
    assert (found.line, found.key, found.what, found.mend) == (
        1,
        "key.host",
        "is missing",
        "say it",
    )


@pytest.mark.parametrize(
    ("path", "line"),
    [("a", 1), ("b", 2), ("b[1]", 4), ("b[1].c", 5), ("b[7].c", 2), ("x", 1), ("b[1].x", 4)],
)
def test_a_mistake_further_down_has_the_line_of_its_last_known_step(path: str, line: int) -> None:
    spot = spot_of("a: 1\nb:\n  - c: 1\n  - d: 1\n    c: 2\n")
    fields = spot.fields()
    assert fields is not None
    fields.wrong(path, "clashes", "choose another")
    (found,) = spot.mistakes.all()
    assert (found.line, found.key) == (line, f"key.{path}")


def test_a_lone_surrogate_never_becomes_a_value() -> None:
    from fleet_agent.yamlfile.nodes import Scalar

    spot = Spot(Scalar("\ud800", False, 1), "key", Mistakes("f", Limits()))
    assert spot.text() is None
    spot.json()
    assert spot.mistakes.count == 2
