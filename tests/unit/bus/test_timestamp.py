"""Time on the wire against the standard library's own calendar."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.bus import timestamp

moments = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31, 23, 59, 59)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)


@given(moments, st.sampled_from(["Z", "z", "+00:00", "-00:00"]), st.sampled_from("Tt"))
def test_agrees_with_the_standard_library(moment: datetime, zone: str, middle: str) -> None:
    text = moment.replace(tzinfo=None).isoformat(middle) + zone
    assert timestamp.parse(text) == pytest.approx(moment.timestamp(), abs=1e-4)


@given(moments)
def test_what_it_shows_it_reads(moment: datetime) -> None:
    assert timestamp.parse(timestamp.show(moment.timestamp())) == int(moment.timestamp())


def test_a_leap_second_is_the_next_second() -> None:
    assert timestamp.parse("2016-12-31T23:59:60Z") == timestamp.parse("2017-01-01T00:00:00Z")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-02-03",
        "2026-02-03T04:05:06",
        "2026-02-03 04:05:06Z",
        "2026-02-03T04:05:06+01:00",
        "2026-02-03T24:00:00Z",
        "2026-02-03T04:60:00Z",
        "2026-02-03T04:05:61Z",
        "2026-02-30T04:05:06Z",
        "2026-13-01T04:05:06Z",
        "2026-00-01T04:05:06Z",
        "2025-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2026-02-03T04:05:06.Z",
        "2026-02-03T04:05:06Z\n",
        "٢٠٢٦-02-03T04:05:06Z",
    ],
)
def test_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="is "):
        timestamp.parse(text)


@pytest.mark.parametrize("value", [-1, 1770091506000])
def test_numbers_out_of_the_calendar_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match="is be"):
        timestamp.from_number(value)
