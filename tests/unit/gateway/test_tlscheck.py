"""The certificate in health: warned of before its end, failed behind it."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from fleet_agent.certificate import Certificate
from fleet_agent.gateway.tlscheck import tls_check
from fleet_agent.limits import Limits
from fleet_agent.wire import Health

DAY = 86400
NOW = 1_800_000_000


class Own(NamedTuple):
    own: Certificate | None
    failure: str = ""


def certificate(days: float, age: float = 1) -> Certificate:
    return Certificate(int(NOW - age * DAY), int(NOW + days * DAY), "ab" * 8)


@pytest.mark.parametrize(
    ("tls", "status", "words"),
    [
        (Own(certificate(31)), Health.PASS, ""),
        (Own(certificate(29)), Health.WARN, "good for 29 days more"),
        (Own(certificate(-1)), Health.FAIL, "has expired"),
        (Own(certificate(90, age=-1)), Health.FAIL, "not valid yet"),
        (Own(certificate(90), "x is broken"), Health.WARN, "the certificate before is in force"),
        (Own(None, "there is no certificate yet"), Health.FAIL, "there is no certificate yet"),
    ],
)
def test_a_certificate_is_judged_by_its_days(tls: Own, status: Health, words: str) -> None:
    check = tls_check(tls, Limits, lambda: NOW)()
    assert check.status is status
    assert words in check.reason
    assert bool(check.reason) == (status is not Health.PASS)


def test_the_days_and_the_fingerprint_are_shown() -> None:
    check = tls_check(Own(certificate(40)), Limits, lambda: NOW)()
    assert check.value == {"days": 40.0, "until": "2027-02-24T08:00:00Z", "fingerprint": "ab" * 8}


def test_the_limit_is_minded() -> None:
    check = tls_check(Own(certificate(29)), lambda: Limits({"health_tls_days": 7}), lambda: NOW)()
    assert check.status is Health.PASS
