"""A dry run and a result in words."""

from __future__ import annotations

from fleet_agent.deploy.report import as_markdown, as_text, result_sentences

DIFF = {"10.0.0.1": [{"path": "/etc/x", "text": "--- a\n+++ b\n-1\n+2\n"}], "10.0.0.2": []}


def test_each_node_has_its_diff_and_an_unchanged_one_says_so() -> None:
    text = as_text(DIFF, None)
    assert "# 10.0.0.1\n--- a" in text
    assert "# 10.0.0.2\nnothing would change" in text


def test_markdown_counts_and_folds_only_what_changes() -> None:
    text = as_markdown(DIFF, None, commit="a" * 40, ref="PROD")
    assert text.startswith("**fleet-agent**: `PROD` at `aaaaaaaaaaaa` would change 1 of 2 nodes")
    assert text.count("<details>") == 1


def test_a_soul_that_quotes_markdown_does_not_end_the_fence() -> None:
    diff = {"h": [{"path": "soul", "text": "+```\n+code\n+```"}]}
    assert "````diff" in as_markdown(diff, None, commit="b" * 40, ref="PROD")


def test_markdown_of_what_would_fail_has_every_mistake_in_a_fence() -> None:
    more = ["cause: the registry has 2 mistakes", "  mistake: fleet.yaml:3 ```x", "  mistake: b"]
    text = as_markdown({}, "the registry has 2 mistakes", commit="c" * 40, ref="main", more=more)
    assert text.startswith("**fleet-agent**: `main` at `cccccccccccc` would fail:\n\n````\n")
    assert "\n  mistake: fleet.yaml:3 ```x\n  mistake: b\n````" in text


def test_what_a_file_holds_can_not_steer_the_terminal() -> None:
    diff = {"h": [{"path": "soul", "text": "+\x1b[2Jgone\n+\ttab\x07"}]}
    for text in (as_text(diff, "\x1b[31m"), as_markdown(diff, None, commit="d" * 40, ref="x")):
        assert "\x1b" not in text and "\x07" not in text
        assert "gone\n+\ttab" in text


def test_the_cause_comes_before_the_way_back() -> None:
    result = {
        "cause": {"host": "a", "phase": "services", "what": "exit 203", "unit_log": ["boom"]},
        "touched": ["a", "b"],
        "put_back": ["a", "b"],
    }
    lines = result_sentences(result)
    assert lines[0].startswith("cause: a failed in services")
    assert lines.index("  unit log: boom") < lines.index("put back and verified: a, b")
