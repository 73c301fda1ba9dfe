"""A JSON object is read to its end, whatever is wrong in it."""

from __future__ import annotations

import pytest

from fleet_agent.limits import Limits
from fleet_agent.services.wrongs import Object


def test_reading_goes_on_behind_a_mistake() -> None:
    top = Object({"a": 1, "p": "x", "w": "king", "l": "x", "inner": {"b": None}})
    assert (top.text("a", "default"), top.port("p", 9), top.texts("l")) == ("default", 9, ())
    assert top.word("w", ("kind", "unkind"), "unkind") == "unkind"
    inner = top.inner("inner")
    assert inner is not None
    assert inner.text("b") == ""
    assert [(one.path, bool(one.mend)) for one in top.wrongs] == [
        ("a", True), ("p", True), ("l", True), ("w", True), ("inner.b", True),
    ]  # fmt: skip
    assert top.wrongs[3].mend == "did you mean 'kind'?"


def test_what_is_right_is_no_mistake() -> None:
    top = Object({"a": "x", "p": 0, "l": ["y"], "m": None, "limits": {"batch_lines": 7}})
    top.only(("a", "p", "l", "m", "limits"))
    assert (top.text("a"), top.port("p", 9), top.texts("l")) == ("x", 0, ("y",))
    assert top.text_or_none("m") is None
    assert top.inner("m") is None
    assert top.limits("limits", "daemon")["batch_lines"] == 7
    assert top.limits("absent", "daemon")["batch_lines"] == Limits()["batch_lines"]
    assert top.wrongs == []


@pytest.mark.parametrize("value", [None, [], "x", 7])
def test_what_is_no_mapping_has_no_keys_and_one_mistake(value: object) -> None:
    top = Object(value, "listen")
    top.only(("a",))
    assert top.text("a", "default") == "default"
    assert [one.path for one in top.wrongs] == ["listen"]


def test_what_somebody_wrote_is_shown_short_and_plain() -> None:
    top = Object({"a" * 5000: 1, "b": "\x1b]0;" + "x" * 5000})
    top.only(("b",))
    top.port("b", 1)
    for wrong in top.wrongs:
        assert max(len(part) for part in wrong) < 200
        assert all(part.isprintable() for part in wrong)
