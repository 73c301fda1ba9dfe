"""The queue on a real database: one entry a ref, one running, and nothing lost or doubled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.deploy import history
from fleet_agent.deploy.entry import Kind, Request, Seen, Submission
from fleet_agent.deploy.queue import Queue, open_queue
from fleet_agent.errors import IllegalMove, RequestError
from fleet_agent.wire import DeployState as S

C0, C1 = "a" * 40, "b" * 40


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    made = open_queue(str(tmp_path / "deploys.db"), 5, now=iter(range(10**6)).__next__)
    yield made
    made.close()


def pushed(delivery: str, ref: str = "PROD", hint: str = C1, event: str = "push") -> Submission:
    return Submission(
        "gitea", event, delivery, f"refs/tags/{ref}", hint, event == "create", "timmy", "timmy/ops"
    )


def seen(delivery: str, *, signed: bool = True) -> Seen:
    return Seen("gitea", "push", delivery, "ignored", "another tag", signed)


def rows(queue: Queue) -> list[tuple[str, str, int | None]]:
    with queue.reading() as db:
        found = history.deliveries(db, limit=1000)
    return [(row["delivery"], row["outcome"], row["deploy"]) for row in found[::-1]]


def test_a_push_is_queued_its_repeat_is_known_and_its_second_event_folds(queue: Queue) -> None:
    first = queue.submit(pushed("a"))
    assert (first.deploy, first.state, first.status) == (1, S.QUEUED, "queued")
    assert queue.submit(pushed("a")).status == "repeated"
    assert queue.submit(pushed("a", event="create")).status == "folded"
    assert queue.submit(pushed("b", hint=C0)).status == "folded"
    with queue.reading() as db:
        entry = history.get(db, 1)
        assert len(history.listed(db, 10)) == 1
    assert (entry.hint, entry.requested_by, entry.source) == (C0, "timmy", "gitea")
    assert [row[2] for row in rows(queue)] == [1, 1, 1]


def test_a_push_while_its_tag_is_being_deployed_waits_as_one_entry(queue: Queue) -> None:
    queue.submit(pushed("a"))
    assert queue.start() is not None
    assert queue.submit(pushed("b", hint=C0)).deploy == 2
    assert queue.submit(pushed("c", hint=C0)).deploy == 2
    assert queue.submit(pushed("a")).state is S.RUNNING


def test_what_waits_for_another_tag_is_overtaken_what_was_asked_for_by_hand_is_not(
    queue: Queue,
) -> None:
    queue.submit(pushed("a", "v1"))
    queue.ask(Request(Kind.MANUAL, "main", "root", "socket"))
    queue.submit(pushed("b", "v2"))
    with queue.reading() as db:
        states = [entry.state for entry in history.listed(db, 10)[::-1]]
        assert states == [S.SUPERSEDED, S.QUEUED, S.QUEUED]
        assert "deploy 3 (refs/tags/v2)" in history.get(db, 1).reason
    # The overtaken tag's second event does not bring it back.
    assert queue.submit(pushed("c", "v1", event="create")).deploy == 1


def test_entries_are_taken_in_their_order_and_one_at_a_time(queue: Queue) -> None:
    assert queue.start() is None
    for ref in ("one", "two"):
        queue.ask(Request(Kind.MANUAL, ref, "root", "socket"))
    first = queue.start()
    assert first is not None and first.ref == "one" and len(first.nonce) == 16
    with pytest.raises(Exception, match="UNIQUE"):
        queue.start()
    queue.finish(1, S.VERIFIED, "done", ran=True)
    second = queue.start()
    assert second is not None and second.ref == "two" and second.nonce != first.nonce


def test_an_ended_deploy_stays_ended(queue: Queue) -> None:
    queue.ask(Request(Kind.MANUAL, "one", "root", "socket"))
    with pytest.raises(IllegalMove):
        queue.finish(1, S.VERIFIED, "never ran")
    queue.start()
    queue.finish(1, S.FAILED, "no", result={"unconfirmed": ["h"]}, ran=True, unsure=True)
    with pytest.raises(IllegalMove):
        queue.finish(1, S.VERIFIED, "yes")
    with queue.reading() as db:
        entry = history.get(db, 1)
        moves = [(move["from"], move["to"]) for move in history.moves(db, 1)]
    assert entry.result == {"unconfirmed": ["h"]} and entry.reason == "no" and entry.unsure
    assert moves == [("", "queued"), ("queued", "running"), ("running", "failed")]


def test_everything_is_there_after_opening_it_again(queue: Queue, tmp_path: Path) -> None:
    queue.submit(pushed("a"))
    queue.start()
    queue.peeled(1, C1, C0)
    queue.executing(1)
    queue.close()
    again = open_queue(str(tmp_path / "deploys.db"), 5)
    with again.reading() as db:
        entry = history.running(db)
    assert entry is not None and (entry.commit, entry.tag_object) == (C1, C0)
    assert entry.executed_at is not None
    assert again.submit(pushed("a")).status == "repeated"
    again.close()


def test_a_skipped_delivery_that_comes_again_is_one_row_and_may_be_queued(queue: Queue) -> None:
    queue.record(seen("a"))
    queue.record(seen("a"))
    assert rows(queue) == [("a", "ignored", None)]
    assert queue.submit(pushed("a")).status == "queued"
    assert rows(queue) == [("a", "queued", 1)]
    queue.record(seen("a"))  # and back again: what was queued stays known
    assert rows(queue) == [("a", "queued", 1)]
    assert queue.submit(pushed("a")).status == "repeated"


def test_an_unsigned_claim_of_a_delivery_s_id_changes_nothing(queue: Queue) -> None:
    queue.record(seen("a", signed=False))
    assert queue.submit(pushed("a")).status == "queued"
    queue.record(seen("a", signed=False))
    assert queue.submit(pushed("a")).status == "repeated"


def test_of_the_deliveries_the_newest_are_kept_and_unsigned_ones_push_out_no_signed_one(
    queue: Queue,
) -> None:
    for number in range(8):
        queue.record(seen(str(number)))
    for number in range(210):
        queue.record(seen(f"u{number}", signed=False))
    names = [row[0] for row in rows(queue)]
    assert names[:5] == ["3", "4", "5", "6", "7"]
    assert len(names) == 5 + 200 and names[-1] == "u209"


def test_many_threads_that_submit_one_push_make_one_entry(queue: Queue) -> None:
    receipts: list[str] = []

    def submit(number: int) -> None:
        receipts.append(queue.submit(pushed(f"d{number % 5}")).status)

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receipts) == ["folded"] * 4 + ["queued"] + ["repeated"] * 20


def test_what_the_fleet_runs_is_the_last_verified_run_and_doubt_is_remembered(
    queue: Queue,
) -> None:
    def run(commit: str, state: S, kind: Kind = Kind.MANUAL, **more: bool) -> None:
        entry = queue.ask(Request(kind, commit, "root", "socket"))
        queue.start()
        queue.peeled(entry.id, commit, commit)
        queue.finish(
            entry.id, state, "", ran=more.get("ran", True), unsure=more.get("unsure", False)
        )

    def now() -> tuple[int, str, bool] | None:
        with queue.reading() as db:
            found = history.fleet_now(db)
        return None if found is None else (found.deploy, found.commit, found.unsure)

    run(C0, S.FAILED)
    run(C0, S.VERIFIED, Kind.CHECK)
    assert now() is None
    run(C0, S.VERIFIED)
    run(C1, S.ROLLED_BACK)
    run(C1, S.VERIFIED, ran=False)
    assert now() == (3, C0, False)
    run(C1, S.FAILED, unsure=True)
    assert now() == (3, C0, True)
    run(C1, S.VERIFIED)
    assert now() == (7, C1, False)


def test_a_deploy_that_is_not_there_is_a_404(queue: Queue) -> None:
    with queue.reading() as db, pytest.raises(RequestError) as caught:
        history.get(db, 3)
    assert caught.value.http_status == 404


def test_a_reason_with_half_a_character_in_it_ends_a_deploy_like_any_other(queue: Queue) -> None:
    queue.ask(Request(Kind.MANUAL, "main", "a", "socket"))
    running = queue.start()
    assert running is not None
    ended = queue.finish(running.id, S.FAILED, "said \ud800")
    assert ended.reason == "said ?"
