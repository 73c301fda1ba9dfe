"""Where a rollback by hand goes, by the history alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.deploy import history
from fleet_agent.deploy.entry import Kind, Request
from fleet_agent.deploy.queue import Queue, open_queue
from fleet_agent.errors import RequestError
from fleet_agent.wire import DeployState


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    made = open_queue(str(tmp_path / "deploys.db"), 100)
    yield made
    made.close()


def ran(queue: Queue, commit: str, state: str = "verified", *, unsure: bool = False) -> int:
    entry = queue.ask(Request(Kind.MANUAL, "refs/tags/PROD", "a", "socket"))
    return end(queue, entry.id, commit, state, unsure=unsure)


def end(queue: Queue, number: int, commit: str, state: str, *, unsure: bool = False) -> int:
    started = queue.start()
    assert started is not None and started.id == number
    queue.peeled(number, commit, commit)
    queue.finish(number, DeployState(state), "why", ran=True, unsure=unsure)
    return number


def back(queue: Queue) -> tuple[int, str]:
    """Go back; to which deploy, and which commit."""
    with queue.reading() as db:
        target, commit = history.way_back(db)
    request = Request(Kind.ROLLBACK, "", "a", "socket", False, commit, target)
    end(queue, queue.ask(request).id, commit, "verified")
    return target, commit


def test_it_goes_to_the_verified_commit_before_and_each_time_further(queue: Queue) -> None:
    for commit in ("one", "two", "three"):
        ran(queue, commit)
    assert [back(queue), back(queue)] == [(2, "two"), (1, "one")]
    with pytest.raises(RequestError, match="nothing lies before"):
        back(queue)


def test_it_passes_over_what_failed_and_what_is_the_same_commit(queue: Queue) -> None:
    ran(queue, "one")
    ran(queue, "broken", "rolled_back")
    ran(queue, "two")
    ran(queue, "two")
    ran(queue, "worse", "failed")
    assert back(queue) == (1, "one")


def test_after_a_deploy_that_left_doubt_it_goes_to_the_last_verified_one(queue: Queue) -> None:
    ran(queue, "one")
    ran(queue, "two")
    ran(queue, "three", "failed", unsure=True)
    assert back(queue) == (2, "two")


def test_a_new_deploy_after_a_rollback_is_the_one_to_go_back_from(queue: Queue) -> None:
    ran(queue, "one")
    ran(queue, "two")
    assert back(queue) == (1, "one")
    ran(queue, "three")
    assert back(queue) == (2, "two")
