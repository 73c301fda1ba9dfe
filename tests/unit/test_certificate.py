"""What is read from a certificate is what openssl reads."""

from __future__ import annotations

import base64
from calendar import timegm
from time import strptime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent import certificate, proc
from fleet_agent.errors import ConfigError
from tests.authority import issued


def openssl(pem: str, word: str) -> str:
    done = proc.run(["openssl", "x509", "-noout", word], timeout_seconds=60, stdin=pem.encode())
    return done.text.partition("=")[2]


def seconds(text: str) -> int:
    return timegm(strptime(text, "%b %d %H:%M:%S %Y %Z"))


@pytest.mark.parametrize("days", [1, 365, 9000])
def test_times_are_those_that_openssl_tells(days: float) -> None:
    pem = issued("192.0.2.7", of=f"days {days:g}", days=days).pair
    found = certificate.read(pem)
    assert found.not_before == seconds(openssl(pem, "-startdate"))
    assert found.not_after == seconds(openssl(pem, "-enddate"))


def test_years_behind_2049_are_told_too() -> None:
    pem = issued("192.0.2.8", of="late", age_days=-9000, days=1).pair
    assert certificate.read(pem).not_after == seconds(openssl(pem, "-enddate"))


def test_the_fingerprint_is_of_the_certificate_alone() -> None:
    pem = issued().pair
    found = proc.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256"],
                     timeout_seconds=60, stdin=pem.encode()).text  # fmt: skip
    assert (
        found.partition("=")[2]
        .replace(":", "")
        .lower()
        .startswith(certificate.read(pem).fingerprint)
    )


@pytest.mark.parametrize("pem", ["", "x", issued().pair.split("-----BEGIN CERTIFICATE")[0]])
def test_what_holds_no_certificate_is_said(pem: str) -> None:
    with pytest.raises(ConfigError, match="holds no certificate"):
        certificate.read(pem)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_nothing_breaks_the_reader(noise: bytes, at: int) -> None:
    good = base64.b64decode(issued().pair.split("-----")[6])
    for der in (noise, good[:at] + noise, good[:at] + noise + good[at + len(noise) :]):
        text = base64.b64encode(der).decode()
        try:
            certificate.read(f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----")
        except ConfigError:
            continue
