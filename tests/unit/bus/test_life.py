"""The two tables of moves, and what they refuse."""

from __future__ import annotations

import itertools

import pytest

from fleet_agent.bus.life import GOT_MOVES, SENT_MOVES, Got, Sent, move, word
from fleet_agent.errors import IllegalMove


def test_every_state_has_its_row() -> None:
    assert set(SENT_MOVES) == set(Sent)
    assert set(GOT_MOVES) == set(Got)


@pytest.mark.parametrize(("now", "wanted"), list(itertools.product(Sent, Sent)))
def test_a_delivery_moves_as_the_table_says(now: Sent, wanted: Sent) -> None:
    if wanted in SENT_MOVES[now]:
        assert move(now, wanted) is wanted
    else:
        with pytest.raises(IllegalMove, match=word(wanted)):
            move(now, wanted)


@pytest.mark.parametrize(("now", "wanted"), list(itertools.product(Got, Got)))
def test_a_message_moves_as_the_table_says(now: Got, wanted: Got) -> None:
    if wanted in GOT_MOVES[now]:
        assert move(now, wanted) is wanted
    else:
        with pytest.raises(IllegalMove, match="message"):
            move(now, wanted)


def test_what_is_settled_stays_so() -> None:
    assert not SENT_MOVES[Sent.DELIVERED]
    assert not GOT_MOVES[Got.HANDLED]


def test_the_numbers_are_what_the_database_holds() -> None:
    assert [int(state) for state in Sent] == [0, 1, 2, 3]
    assert [int(state) for state in Got] == [0, 1, 2, 3, 4]
