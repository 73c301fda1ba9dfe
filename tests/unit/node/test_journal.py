"""The journal: its table of moves, and one winner between confirming and expiring."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from fleet_agent.errors import IllegalMove, NodeError
from fleet_agent.node import durable
from fleet_agent.node.journal import (
    ARMED,
    CLAIMED,
    CONFIRMED,
    EXPIRING,
    MOVES,
    OPEN,
    REVERTED,
    Book,
    Journal,
    WrongState,
    after,
    read,
)
from fleet_agent.node.layout import Layout

NONCE = "0123456789abcdef"


def a_journal(state: str = OPEN, nonce: str = NONCE, deploy: int = 7) -> Journal:
    return Journal(
        state=state,
        deploy=deploy,
        nonce=nonce,
        commit="a" * 40,
        holder="a test",
        layout={},
        boot="this boot",
        opened_at=1.0,
        baseline=None,
        target="t" * 20,
        limits={"deploy_confirm_seconds": 60},
    )


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(root=str(tmp_path), unprivileged=True)
    durable.directory(found.node)
    return found


def put(layout: Layout, journal: Journal) -> None:
    durable.write_json(layout.journal, {"v": 1, **journal._asdict()})


@pytest.mark.parametrize(("now", "to"), list(itertools.product(MOVES, MOVES)))
def test_only_the_moves_of_the_table_are_allowed(now: str, to: str) -> None:
    if to in MOVES[now]:
        assert after(a_journal(now), to).state == to
    else:
        with pytest.raises(IllegalMove, match=f"{now}.*{to}"):
            after(a_journal(now), to)


def test_nothing_leaves_reverted_and_everything_can_reach_an_end() -> None:
    assert MOVES[REVERTED] == frozenset()
    for state in MOVES:
        seen, left = set(), [state]
        while left:
            one = left.pop()
            seen.add(one)
            left += [to for to in MOVES[one] if to not in seen]
        assert seen & {CONFIRMED, REVERTED}


def test_a_journal_comes_back_as_it_was_written(layout: Layout) -> None:
    book = Book(layout)
    assert book.journal is None
    book.open(a_journal())
    assert read(layout) == a_journal()._replace(step="journal-opened")


def test_a_run_is_not_opened_over_an_unfinished_one(layout: Layout) -> None:
    for state in (OPEN, ARMED, CLAIMED, EXPIRING):
        put(layout, a_journal(state))
        with pytest.raises(WrongState, match=state):
            Book(layout).open(a_journal(nonce="f" * 16))
    for state in (CONFIRMED, REVERTED):
        put(layout, a_journal(state))
        Book(layout).open(a_journal(nonce="f" * 16))


def test_of_confirming_and_expiring_the_first_one_wins(layout: Layout) -> None:
    for first, second in ((CONFIRMED, EXPIRING), (EXPIRING, CONFIRMED)):
        put(layout, a_journal(ARMED))
        Book(layout).move((ARMED,), first)
        with pytest.raises(WrongState, match=first):
            Book(layout).move((ARMED,), second)


def test_a_journal_of_another_run_is_not_taken_for_ours(layout: Layout) -> None:
    put(layout, a_journal(ARMED))
    assert Book(layout).of(NONCE) is not None
    assert Book(layout).of("f" * 16) is None


def test_steps_are_written_while_a_run_is_under_way_and_not_after(layout: Layout) -> None:
    put(layout, a_journal(ARMED))
    Book(layout).step("places-placed")
    found = read(layout)
    assert found is not None
    assert found.step == "places-placed"
    put(layout, a_journal(CONFIRMED))
    Book(layout).step("places-placed")
    assert read(layout) == a_journal(CONFIRMED)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"v":2}', '{"v":1}', '{"v":1,"state":"odd"}'])
def test_a_journal_that_is_damaged_is_an_error_and_never_nothing(layout: Layout, text: str) -> None:
    Path(layout.journal).write_text(text)
    with pytest.raises(NodeError):
        read(layout)


def test_an_unknown_state_is_an_error(layout: Layout) -> None:
    Path(layout.journal).write_text(json.dumps({"v": 1, **a_journal("odd")._asdict()}))
    with pytest.raises(NodeError, match="odd"):
        read(layout)
