"""The bugs that the proof of no loss puts in: each still fits the code that it patches."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.bus.bugs import BUGS, with_bug

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("bug", "path"), [(bug, path) for bug in BUGS for path in BUGS[bug]])
def test_it_changes_the_code_into_other_code(bug: str, path: str) -> None:
    text = (ROOT / path).read_text()
    changed = with_bug(bug, path, text)
    assert changed != text
    compile(changed, path, "exec")


def test_code_that_has_moved_on_is_told() -> None:
    with pytest.raises(ValueError, match=r"has no .* any more"):
        with_bug("no-dedupe", "fleet_agent/bus/streams.py", "nothing\n")
