"""An id and hops are put in; every other byte stays."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.bus.message import Bounds, check
from fleet_agent.bus.stamp import with_hops, with_id
from fleet_agent.limits import Limits
from tests.unit.bus.busparts import message

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text('ab"\\é}{', max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé", max_size=3), inner),
    max_leaves=6,
)


def test_an_id_comes_last_and_the_rest_stays() -> None:
    one = message(spaces=3)
    stamped = with_id(one, "a-1")
    assert stamped.raw == one.raw.rstrip()[:-1] + b',"id":"a-1"}'
    assert stamped.id == "a-1"


def test_hops_come_last_or_take_the_place_of_others() -> None:
    assert with_hops(message(), 3).raw.endswith(b',"hops":3}')
    replaced = with_hops(message(hops=1), 4)
    assert json.loads(replaced.raw)["hops"] == replaced.hops == 4


@given(json_values, st.booleans())
def test_what_comes_out_is_the_same_message(payload: Any, had_hops: bool) -> None:
    one = message(payload=payload, **({"hops": 1} if had_hops else {}))
    stamped = with_hops(with_id(one, "x"), 2)
    again = check(stamped.raw, now=2, bounds=Bounds.of(Limits()))
    assert again == stamped
    assert (again.payload, again.id, again.hops) == (payload, "x", 2)
