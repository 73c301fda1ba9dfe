"""Errors of TLS in words that name the mend."""

from __future__ import annotations

import ssl

import pytest

from fleet_agent.httpd.handshake import BadCertificate, NoTls, explain, failure


def refused(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, message
    return error


@pytest.mark.parametrize(
    ("code", "words"),
    [(10, "has expired"), (62, "another name"), (64, "another address"), (20, "believed here"),
     (77, "is refused: of some new kind")],
)  # fmt: skip
def test_a_verdict_has_words_and_a_mend(code: int, words: str) -> None:
    error = failure(refused(code, "of some new kind"), "https://192.0.2.1/")
    assert isinstance(error, BadCertificate)
    assert error.what.startswith("its certificate")
    assert words in error.what
    assert error.mend
    assert error.mend in explain(refused(code, ""))


def test_no_tls_at_all_is_no_verdict() -> None:
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    error.reason = "WRONG_VERSION_NUMBER"
    assert isinstance(failure(error, "x"), NoTls)
    assert explain(error) == "no TLS is spoken there"
    assert explain(ssl.SSLError(1, "something")) == "TLS: something"
