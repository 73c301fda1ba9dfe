"""What the deploy hook answers to a forge, and what comes of it."""

from __future__ import annotations

import os
import statistics
import subprocess
from typing import Any

from .checks import is_unchanged
from .fleet import Fleet


def sent(fleet: Fleet, before: int, count: int) -> list[dict[str, Any]]:
    """The deliveries since `before`, once there are `count`."""
    return fleet.git.wait_deliveries(before + count)[before:]


def test_a_wrong_signature_is_refused_and_nothing_is_queued(fleet: Fleet) -> None:
    before, newest, looks = len(fleet.git.deliveries()), fleet.newest(), fleet.looks()
    fleet.checkout.commit({"README.md": b"Not signed.\n"})
    right, fleet.secret = fleet.secret, "wrong"
    fleet.wire()
    try:
        fleet.checkout.move_tag()
        answers = sent(fleet, before, 3)
    finally:
        fleet.secret = right
        fleet.wire()
    tags = [one for one in answers if "refs/heads" not in one["body"][:200]]
    assert {one["status"] for one in tags} == {401}, answers
    assert fleet.newest() == newest
    is_unchanged(fleet, looks)


def test_repeated_and_late_deliveries_make_one_deploy(fleet: Fleet) -> None:
    before, newest = len(fleet.git.deliveries()), fleet.newest()
    fleet.wire(repeats=(2, 3), late=True)
    try:
        record = fleet.push({"README.md": b"Sent again and again.\n"})
        answers = sent(fleet, before, 8)
    finally:
        fleet.wire()
    assert record.state == "verified", record
    assert all(one["status"] in (200, 202) for one in answers), answers
    made = [one for one in fleet.deploys() if one["id"] > newest and one["twin_of"] is None]
    assert [one["id"] for one in made] == [record.id], made


def test_events_in_the_wrong_order_make_one_deploy(fleet: Fleet) -> None:
    newest = fleet.newest()
    fleet.wire(reverse=True)
    try:
        record = fleet.push({"README.md": b"The other way round.\n"})
    finally:
        fleet.wire()
    assert record.state == "verified", record
    made = [one for one in fleet.deploys() if one["id"] > newest and one["twin_of"] is None]
    assert [one["id"] for one in made] == [record.id], made


def test_a_deleted_tag_deploys_nothing(fleet: Fleet) -> None:
    before, newest, looks = len(fleet.git.deliveries()), fleet.newest(), fleet.looks()
    fleet.git.git("push", "--quiet", "origin", ":refs/tags/PROD", cwd=fleet.checkout.path)
    answers = sent(fleet, before, 2)
    assert {one["status"] for one in answers} == {200}, answers
    assert fleet.newest() == newest
    is_unchanged(fleet, looks)


def test_hook_test_waits_for_a_delivery_and_says_what_came(fleet: Fleet) -> None:
    argv = fleet.operator_argv("hook", "test", "--timeout", "60")
    pipe = subprocess.PIPE
    with subprocess.Popen(
        argv, env={**os.environ, **fleet.environment}, cwd=fleet.checkout.path,
        stdout=pipe, stderr=pipe, text=True,
    ) as waiting:  # fmt: skip
        assert waiting.stderr is not None
        assert "press Test Delivery" in waiting.stderr.readline()
        before = len(fleet.git.deliveries())
        fleet.repository.test_delivery()
        sent(fleet, before, 1)
        said, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert "gitea" in said and "push" in said, said


def test_the_forge_was_answered_in_time(fleet: Fleet) -> None:
    """Gitea gives up after five seconds; the figures are for the record."""
    answers = [one for one in fleet.git.deliveries() if one["status"] in (200, 202)]
    assert answers
    took = sorted(one["ms"] for one in answers)
    print(
        f"hook: {len(took)} deliveries answered, median {statistics.median(took):.1f} ms, "
        f"longest {took[-1]:.1f} ms"
    )
    fleet.timings.append(("hook, median answer", statistics.median(took) / 1000))
    assert not [one for one in fleet.git.deliveries() if "error" in one]
