"""What the end of a handler means for the message, and for who asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.bus.dispatch import (
    Asked,
    Failed,
    Handled,
    Speaker,
    again_after,
    answer,
    apology,
)
from fleet_agent.bus.message import Bounds, Message
from fleet_agent.limits import Limits
from fleet_agent.wire import MessageType

REQUEST = Asked("q-1", "ezra", "request")
SPEAKER = Speaker("bezalel", "a-1", 1_800_000_000.0, Bounds.of(Limits()))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), inner,
        max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(VALUES)
def test_json_becomes_the_response(value: Any) -> None:
    made = answer(REQUEST, Handled(json.dumps(value).encode() + b"\n"), SPEAKER)
    assert isinstance(made, Message)
    assert made.payload == value
    assert made[:3] == ("bezalel", "ezra", "response")
    assert (made.id, made.in_reply_to) == ("a-1", "q-1")


@given(st.binary())
def test_whatever_is_written_is_answered_or_refused_with_a_reason(output: bytes) -> None:
    made = answer(REQUEST, Handled(output), SPEAKER)
    assert isinstance(made, Message) or (isinstance(made, Failed) and made.reason.isprintable())


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (b"", "said nothing"),
        (b" \n", "said nothing"),
        (b"well done", "is not JSON"),
        (b"{}{}", "is not JSON"),
        (b"NaN", "NaN is no JSON"),
        (b"\xff", "is not JSON"),
        (b'"\\ud800"', "half a character"),
        (b'"\\u0000"', "can't be sent"),
        (b"123456789012345678901234567890", "can't be sent"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 40 + b"]" * 40, "can't be sent"),
        (b'"' + b"x" * 300_000 + b'"', "can't be sent"),
    ],
)
def test_what_is_no_payload_is_the_handlers_failure(output: bytes, words: str) -> None:
    made = answer(REQUEST, Handled(output), SPEAKER)
    assert isinstance(made, Failed)
    assert words in made.reason


@pytest.mark.parametrize("kind", [kind for kind in MessageType if kind != MessageType.REQUEST])
def test_only_requests_are_answered(kind: MessageType) -> None:
    asked = REQUEST._replace(type=kind.value)
    assert answer(asked, Handled(b"not even JSON"), SPEAKER) is None
    assert apology(asked, "no", SPEAKER) is None


def test_who_takes_it_without_a_word_answers_by_itself() -> None:
    assert answer(REQUEST, Handled(None), SPEAKER) is None


def test_a_request_that_is_given_up_is_answered_with_the_reason() -> None:
    made = apology(REQUEST, "given back 5 times: " + "x" * 1000, SPEAKER)
    assert made is not None
    assert made.payload["error"] == "handler-failed"
    assert made.payload["message"] == "q-1"
    assert made.payload["reason"].startswith("given back 5 times")
    assert len(made.payload["reason"]) == 400
    assert made.in_reply_to == "q-1"


def test_the_wait_doubles_up_to_its_limit() -> None:
    limits = Limits({"handler_retry_first_seconds": 1, "handler_retry_most_seconds": 60})
    waits = [again_after(limits, attempt, 1.0) for attempt in range(1, 9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert again_after(limits, 3, 0.0) == 2
