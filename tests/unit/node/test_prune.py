"""Pruning: the last verified ones stay, and whatever somebody may still need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.node import durable, prune
from fleet_agent.node.layout import Layout

NAMES = st.lists(st.sampled_from("abcdefghij"), unique=True)


def test_the_last_verified_stay_and_failed_ones_do_not_push_them_out() -> None:
    there = ["a", "b", "c", "d", "failed1", "failed2"]
    assert prune.to_remove(there, ["a", "b", "c", "d"], 2, ["d"]) == (
        "a", "b", "failed1", "failed2"
    )  # fmt: skip


@given(NAMES, NAMES, st.integers(2, 5), NAMES)
def test_nothing_needed_and_nothing_lately_verified_is_ever_removed(
    there: list[str], verified: list[str], keep: int, needed: list[str]
) -> None:
    gone = set(prune.to_remove(there, verified, keep, needed))
    assert not gone & set(needed)
    assert not gone & set(verified[-keep:])
    assert gone == set(there) - set(needed) - set(verified[-keep:])


def test_a_release_is_verified_once_with_its_last_deploy(tmp_path: Path) -> None:
    layout = Layout(root=str(tmp_path))
    durable.directory(layout.node)
    for number, name in enumerate(("a", "b", "a")):
        prune.mark_verified(layout, name, "c" * 40, number, float(number))
    found = prune.verified(layout)
    assert [(item["release"], item["deploy"]) for item in found] == [("b", 1), ("a", 2)]


def test_a_release_that_is_some_process_directory_or_argument_is_in_use(tmp_path: Path) -> None:
    layout = Layout(root=str(tmp_path))
    for name in ("a", "b", "c"):
        durable.directory(layout.release(name))
    sleeping = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
    inside = subprocess.Popen(sleeping, cwd=layout.release("a"), stdout=subprocess.PIPE)
    named = subprocess.Popen([*sleeping, f"{layout.release('b')}/code"], stdout=subprocess.PIPE)
    try:
        for one in (inside, named):
            # Popen returns in the middle of execve, when the kernel closes the descriptors; the
            # arguments are shown a moment later. A program that speaks is through.
            assert one.stdout is not None
            assert one.stdout.readline() == b"up\n"
        assert prune.in_use(layout) >= {"a", "b"}
        assert "c" not in prune.in_use(layout)
    finally:
        for one in (inside, named):
            one.kill()
            one.communicate()
