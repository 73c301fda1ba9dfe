"""Differences as people read them."""

from __future__ import annotations

from fleet_agent.release.diff import code_summary, unified
from tests.unit.release.samples import CODE, built


def test_a_change_is_a_unified_diff_of_the_place() -> None:
    text = unified(b"model: a\nx: 1\n", b"model: b\nx: 1\n", "/home/ezra/config.yaml")
    assert "--- a/home/ezra/config.yaml\n+++ b/home/ezra/config.yaml\n" in text
    assert "-model: a\n+model: b\n" in text


def test_a_new_and_a_removed_file_show_against_nothing() -> None:
    assert "--- /dev/null" in unified(None, b"x\n", "/x")
    assert "+++ /dev/null" in unified(b"x\n", None, "/x")


def test_no_change_is_no_text() -> None:
    assert unified(b"x", b"x", "/x") == ""
    assert unified(None, None, "/x") == ""


def test_a_missing_last_line_break_is_said() -> None:
    assert "\\ No newline at end of file" in unified(b"x\n", b"x", "/x")


def test_what_is_no_text_is_told_by_size_and_digest() -> None:
    text = unified(b"\xff\x00", b"\xfe\x00\x00", "/x")
    assert "2 bytes" in text
    assert "3 bytes" in text


def test_an_empty_file_that_appears_is_not_silent() -> None:
    assert unified(None, b"", "/x") != ""


def test_code_is_summed_up() -> None:
    before = built().manifest
    code = {**CODE, "fleet_agent/new.py": b"", "fleet_agent/errors.py": b"x = 1\n"}
    del code["fleet_agent/cli/main.py"]
    text = code_summary(before, built(code=code).manifest)
    assert text == (
        "1 file added: fleet_agent/new.py\n"
        "1 file removed: fleet_agent/cli/main.py\n"
        "1 file changed: fleet_agent/errors.py\n"
    )
    assert code_summary(before, before) == ""
    assert code_summary(None, before).startswith("4 files added")
