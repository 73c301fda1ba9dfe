"""Conversations without end: hops are counted, replies to replies have a rate."""

from __future__ import annotations

import pytest

from fleet_agent.bus.cycle import Replies, TooManyReplies, next_hops
from fleet_agent.bus.message import MessageRefused


@pytest.mark.parametrize(
    ("said", "answered", "hops"), [(0, None, 0), (0, 0, 1), (5, 2, 5), (1, 7, 8), (3, None, 3)]
)
def test_an_answer_has_one_hop_more(said: int, answered: int | None, hops: int) -> None:
    assert next_hops(said, answered, 16) == hops


def test_one_hop_too_many_is_refused_with_the_question() -> None:
    assert next_hops(0, 15, 16) == 16
    with pytest.raises(MessageRefused, match="gone on for 16 messages") as caught:
        next_hops(0, 16, 16)
    assert (caught.value.where, caught.value.http_status) == ("hops", 400)
    assert "for ever" in caught.value.mend


def test_questions_and_first_answers_are_free() -> None:
    replies = Replies(1)
    for _ in range(100):
        replies.take("bezalel", 0, 0.0)
        replies.take("bezalel", 1, 0.0)
    replies.take("bezalel", 2, 0.0)
    with pytest.raises(TooManyReplies):
        replies.take("bezalel", 2, 0.0)


def test_the_rate_is_a_receivers_own_and_refills() -> None:
    replies = Replies(60)
    for _ in range(60):
        replies.take("bezalel", 2, 100.0)
    with pytest.raises(TooManyReplies, match="60 replies") as caught:
        replies.take("bezalel", 2, 100.0)
    assert caught.value.http_status == 429
    replies.take("allegro", 2, 100.0)
    replies.take("bezalel", 2, 101.0)
    with pytest.raises(TooManyReplies):
        replies.take("bezalel", 2, 101.0)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    replies = Replies(1)
    replies.take("bezalel", 2, 100.0)
    with pytest.raises(TooManyReplies):
        replies.take("bezalel", 2, 50.0)
