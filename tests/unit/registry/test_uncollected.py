"""The cycle search stops inside and is afterwards as it was, also behind an error."""

from __future__ import annotations

import gc

import pytest

from fleet_agent.registry.uncollected import Uncollected


def test_it_is_on_again_behind_an_error() -> None:
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), Uncollected():
        assert not gc.isenabled()
        raise ZeroDivisionError
    assert gc.isenabled()


def test_where_it_was_off_it_stays_off() -> None:
    with Uncollected():
        with Uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
