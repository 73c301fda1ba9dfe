"""What an X.509 certificate says of itself: from when to when it is good, and its fingerprint.

Pure. Only that much of DER, without ``ssl``. Whether to believe a certificate is not decided here.
"""

from __future__ import annotations

import re
from binascii import Error as NotBase64
from binascii import a2b_base64
from typing import Final, NamedTuple

from fleet_agent.errors import ConfigError

_BLOCK: Final = re.compile(r"-----BEGIN CERTIFICATE-----\s(.*?)-----END CERTIFICATE-----", re.S)
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_TIME: Final = re.compile(rb"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})Z")
_DIGITS: Final = 16


class Certificate(NamedTuple):
    """Times are Unix seconds; ``fingerprint`` is the beginning of the sha256 of its DER."""

    not_before: int
    not_after: int
    fingerprint: str


def read(pem: str) -> Certificate:
    """The first certificate in ``pem``. Raises ConfigError where there is none."""
    from hashlib import sha256

    found = _BLOCK.search(pem)
    try:
        der = a2b_base64(found[1]) if found else b""
        before, after = _validity(der)
    except (IndexError, ValueError, NotBase64):
        raise ConfigError("holds no certificate that can be read") from None
    return Certificate(before, after, sha256(der).hexdigest()[:_DIGITS])


def _validity(der: bytes) -> tuple[int, int]:
    """RFC 5280 section 4.1. Raises IndexError and ValueError."""
    at = _inside(der, _inside(der, 0, _SEQUENCE), _SEQUENCE)
    if der[at] == _VERSION:
        at = _behind(der, at)
    for _ in range(3):  # serial number, algorithm, issuer
        at = _behind(der, at)
    first = _inside(der, at, _SEQUENCE)
    return _time(der, first), _time(der, _behind(der, first))


def _length(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of the value at ``at`` begins and ends."""
    said = der[at + 1]
    if said < 0x80:
        return at + 2, at + 2 + said
    start = at + 2 + (said & 0x7F)
    return start, start + int.from_bytes(der[at + 2 : start], "big")


def _inside(der: bytes, at: int, kind: int) -> int:
    if der[at] != kind:
        raise ValueError(kind)
    return _length(der, at)[0]


def _behind(der: bytes, at: int) -> int:
    return _length(der, at)[1]


def _time(der: bytes, at: int) -> int:
    start, end = _length(der, at)
    text = der[start:end]
    if der[at] == _UTC_TIME:  # two digits of the year, 1950 to 2049
        text = (b"19" if text >= b"50" else b"20") + text
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("time")
    from calendar import timegm  # a daemon without TLS does not pay for it

    year, month, day, hour, minute, second = map(int, found.groups())
    return timegm((year, month, day, hour, minute, second, 0, 0, 0))
