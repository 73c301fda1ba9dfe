"""Which texts may be a reference's name or an object id."""

from __future__ import annotations

import subprocess

import pytest

from fleet_agent.forge import refs

GOOD = ["PROD", "v1.0.0", "release/2026", "refs/tags/v1", "ä", "a@b", "{", "x.lock.y", "+1", "a,b"]
BAD = [
    "", "@", "-x", "/x", "x/", "x.", "a..b", "a b", "a~b", "a^b", "a:b", "a?b", "a*b", "a[b",
    "a\\b", "a@{b", "a//b", ".a", "a/.b", "a.lock", "a.lock/b", "a\nb", "a\x7fb", "a\x00b",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_name_that_git_takes_is_one(name: str) -> None:
    assert refs.is_ref_name(name)
    argv = ["git", "check-ref-format", "--allow-onelevel", name]
    assert subprocess.run(argv, check=False).returncode == 0


@pytest.mark.parametrize("name", BAD)
def test_what_git_refuses_or_would_read_as_an_option_is_none(name: str) -> None:
    assert not refs.is_ref_name(name)


@pytest.mark.parametrize("name", ["a\x85b", "a\u202eb", "v" * 256, "ä" * 128, "\ud800"])
def test_names_that_would_disturb_a_table_or_are_too_long_are_none(name: str) -> None:
    assert not refs.is_ref_name(name)


def test_object_ids_are_whole_and_in_lower_case() -> None:
    assert refs.is_object_id("a" * 40) and refs.is_object_id("0" * 64)
    for text in ("", "a" * 39, "a" * 41, "A" * 40, "g" * 40, "a" * 40 + "\n"):
        assert not refs.is_object_id(text)
    assert refs.is_zeros("0" * 40) and refs.is_zeros("0" * 64)
    assert not refs.is_zeros("0" * 39 + "1") and not refs.is_zeros("0")
