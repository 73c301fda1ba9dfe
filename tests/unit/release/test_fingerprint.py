"""Fingerprints: independent of order, and drift says where."""

from __future__ import annotations

from fleet_agent.release.fingerprint import Declared, drift, fingerprint

ONE = Declared("place", "/a", "0644 x")
TWO = Declared("place", "/b", "0644 y")


def test_order_does_not_count_and_every_value_does() -> None:
    assert fingerprint([ONE, TWO]) == fingerprint([TWO, ONE])
    assert fingerprint([ONE, TWO]) != fingerprint([ONE, TWO._replace(value="0600 y")])
    assert fingerprint([ONE]) != fingerprint([ONE, TWO])


def test_drift_names_what_differs_is_missing_or_too_much() -> None:
    three = Declared("unit", "x.service", "active")
    found = drift([ONE, TWO], [ONE._replace(value="0600 x"), three])
    assert found == (("place", "/a"), ("place", "/b"), ("unit", "x.service"))
    assert drift([ONE], [ONE]) == ()
