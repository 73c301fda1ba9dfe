"""Ids are UUIDv7 that rise, whatever the clock does."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.bus.ids import Ids


def test_an_id_is_a_uuid_of_version_7_with_the_time_in_front() -> None:
    value = uuid.UUID(Ids(milliseconds=lambda: 1770091506789)())
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert value.int >> 80 == 1770091506789


@given(st.lists(st.integers(0, 2**48 - 1), min_size=1))
def test_ids_rise_even_when_the_clock_falls(clock: list[int]) -> None:
    times = iter(clock * 3)
    ids = Ids(milliseconds=lambda: next(times))
    made = [ids() for _ in range(len(clock) * 3)]
    assert made == sorted(set(made))


def test_many_in_one_millisecond_do_not_collide() -> None:
    ids = Ids(milliseconds=lambda: 1770091506789)
    made = [ids() for _ in range(10_000)]
    assert len(set(made)) == len(made)
    assert made == sorted(made)
