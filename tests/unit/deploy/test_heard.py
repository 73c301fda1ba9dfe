"""What hostile nodes say becomes values of known kinds that can be kept, logged and shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.deploy import heard
from fleet_agent.deploy.hosttask import answer
from fleet_agent.deploy.progress import Progress
from fleet_agent.deploy.report import as_markdown, as_text, result_sentences
from fleet_agent.deploy.verdict import nothing_touched, with_runs
from fleet_agent.wire import Phase

CORPUS = Path(__file__).parents[2] / "corpus" / "node"
SAID = sorted(CORPUS.glob("*.out"))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("ok", "changed", "touched", "armed", "diff", "evidence", "notes", "error")


def steers(text: str) -> set[str]:
    return {char for char in text if char not in "\n\t" and heard.text(char) != char}


def check(said: str, code: int = 0) -> dict[str, Any]:
    """Take ``said`` the whole way that a node's words go; the answer."""
    got = answer(Phase.VERIFY, code, said, "").as_dict()
    for kind in ("ok", "failed"):
        event = {"event": kind, "host": "a", "phase": "verify", "result": got, "seconds": 0.1}
        progress = Progress().after(event)
        cause = (Progress().after({**event, "event": "failed"})).failures[0]
        outcome = with_runs(nothing_touched(cause), forward=progress)
        kept = json.loads(json.dumps(outcome.result, allow_nan=False))
        shown = "\n".join(
            [outcome.reason, *result_sentences(kept), as_text(progress.diffs, None),
             as_markdown(progress.diffs, None, commit="c" * 40, ref="main")]
        )  # fmt: skip
        assert not steers(shown)
        shown.encode()
    return got


def test_there_is_a_corpus() -> None:
    assert len(SAID) > 20


@pytest.mark.parametrize("path", SAID, ids=lambda path: path.stem)
def test_nothing_that_a_node_says_breaks_its_reader(path: Path) -> None:
    # As Ansible hands it over, and as the confirmation does.
    check(path.read_bytes().decode("utf-8", "surrogateescape"))
    check(path.read_bytes().decode("utf-8", "replace"), 1)


@pytest.mark.parametrize(
    "name",
    ["nested_array", "nested_object", "no_json", "only_nul", "number_without_end"],
)
def test_what_is_no_result_is_no_success(name: str) -> None:
    assert not check((CORPUS / f"{name}.out").read_text())["ok"]


def test_flags_that_are_no_flags_are_not_set() -> None:
    got = check((CORPUS / "flags_are_texts.out").read_text())
    assert (got["ok"], got["changed"], got["touched"], got["armed"]) == (True, False, False, False)


@given(said=st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, ANYTHING)))
def test_any_json_is_read(said: dict[str, Any]) -> None:
    check(json.dumps(said))


def test_an_answer_without_end_is_not_read() -> None:
    said = '{"ok": true, "x": "' + "x" * heard.MOST_BYTES + '"}'
    assert "too many" in check(said)["error"]["what"]


def test_much_evidence_is_left_out_and_says_so() -> None:
    got = check(json.dumps({"ok": True, "evidence": {"a": "x" * (1 << 20)}}))
    assert list(got["evidence"]) == ["left out"]


def test_many_notes_and_long_sentences_are_cut() -> None:
    error = {"what": "x" * 100_000, "unit_log": ["y" * 10_000] * 1000, "health": {"a": "z" * 99999}}
    got = check(json.dumps({"ok": False, "notes": ["x" * 5000] * 500, "error": error}))
    assert len(json.dumps(got)) < 400_000


def test_line_breaks_and_tabs_of_differences_stay() -> None:
    text = "--- a\n+++ b\n+\tkey: „ä“ 🧙\n"
    got = check(json.dumps({"ok": True, "diff": [{"path": "/x", "text": text}]}))
    assert got["diff"] == [{"path": "/x", "text": text}]
