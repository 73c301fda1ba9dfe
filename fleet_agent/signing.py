"""Signatures of the Standard Webhooks scheme (``v1,<base64>``): made and checked.

Spec: github.com/standard-webhooks/standard-webhooks. Pure. Not for whose key it is (``keyring``).
"""

from __future__ import annotations

import re
from _operator import _compare_digest  # hmac's own; importing hmac itself loads OpenSSL (4 MiB)
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, Final

from fleet_agent.errors import RequestError

HEADER_ID: Final = "webhook-id"
HEADER_TIMESTAMP: Final = "webhook-timestamp"
HEADER_SIGNATURE: Final = "webhook-signature"

# Its names in 3.12 and 3.11, then whatever there is.
_HOMES: Final = ("_sha2", "_sha256", "hashlib")
_VERSION: Final = "v1,"
_BLOCK_BYTES: Final = 64
_DIGEST_TEXT: Final = 44  # base64 of 32 bytes
# Signatures of one header: two epochs of ours, and room for what a library may add.
_MOST_SIGNATURES: Final = 8
_MOST_HEADER: Final = 1024
# No dot: it separates id, time and body in what is signed.
_ID: Final = re.compile(r"[!-\-/-~]{1,128}\Z", re.ASCII)
_TIMESTAMP: Final = re.compile(r"[0-9]{1,15}\Z", re.ASCII)


class SignatureRefused(RequestError):  # noqa: N818 (it reads as what happened)
    """A signature that is missing, forged, or of another time. ``extra`` tells our own time."""

    title = "signature refused"

    def __init__(self, what: str, *, where: str, mend: str, now: int | None = None) -> None:
        super().__init__(what, status=401, where=where, mend=mend)
        self.extra: dict[str, object] = {} if now is None else {"time": now}


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The ``webhook-signature`` of one key; ``timestamp`` is Unix seconds."""
    mac = _mac(key, f"{message_id}.{timestamp}.".encode(), body)
    return _VERSION + b2a_base64(mac, newline=False).decode()


def sign_with(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """The signatures of several keys in one header: a receiver needs to know one of them."""
    return " ".join(sign(key, message_id, timestamp, body) for key in keys)


def verify(
    keys: Sequence[bytes],
    message_id: str,
    timestamp_text: str,
    body: bytes,
    signature_header: str,
    *,
    now: float,
    window_seconds: float,
) -> None:
    """Hold the signatures of a header against ``keys``, in constant time for each pair.

    Raises SignatureRefused (401) for a malformed id, time or signature, for one that none of
    ``keys`` made, and for a true one whose time is further than ``window_seconds`` from ``now``.
    """
    if not _ID.match(message_id):
        raise SignatureRefused(
            "is no id", where=HEADER_ID, mend="1 to 128 printable characters without a dot"
        )
    if not _TIMESTAMP.match(timestamp_text):
        raise SignatureRefused("is no time", where=HEADER_TIMESTAMP, mend="Unix seconds, digits")
    claims = _claims(signature_header)
    if not claims:
        raise SignatureRefused(
            "holds no signature of version 1", where=HEADER_SIGNATURE, mend="v1,<base64>"
        )
    head = f"{message_id}.{timestamp_text}.".encode()
    if not _any_right(keys, head, body, claims):
        raise SignatureRefused(
            "is not one that the sender's key makes over this id, time and body",
            where=HEADER_SIGNATURE,
            mend="sign exactly the bytes that are sent, with the key of this pair of wizards",
        )
    # Only to who has the key: how far its clock is off is nobody else's matter.
    if abs(int(timestamp_text) - now) > window_seconds:
        raise SignatureRefused(
            f"is {int(timestamp_text) - now:+.0f} s away from this machine's time",
            where=HEADER_TIMESTAMP,
            mend=f"sign anew for each attempt, and set the clock; {window_seconds:g} s are allowed",
            now=int(now),
        )


def _claims(header: str) -> list[bytes]:
    """The base64 texts of the header's signatures of version 1."""
    if len(header) > _MOST_HEADER or not header.isascii():
        return []
    if len(header) == len(_VERSION) + _DIGEST_TEXT and header.startswith(_VERSION):
        return [header[len(_VERSION) :].encode()]  # one, as most have
    found = [
        part[len(_VERSION) :].encode() for part in header.split(" ") if part.startswith(_VERSION)
    ]
    return [one for one in found if len(one) == _DIGEST_TEXT][:_MOST_SIGNATURES]


def _any_right(keys: Sequence[bytes], head: bytes, body: bytes, claims: Sequence[bytes]) -> bool:
    for key in keys:
        right = b2a_base64(_mac(key, head, body), newline=False)
        for claim in claims:
            if _compare_digest(right, claim):
                return True
    return False


def _mac(key: bytes, head: bytes, body: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104), from the key's two states: twice as fast as from the key."""
    inner, outer = _states(key)
    inner, outer = inner.copy(), outer.copy()
    inner.update(head)
    inner.update(body)
    outer.update(inner.digest())
    digest: bytes = outer.digest()
    return digest


@cache
def plain_sha256() -> Callable[[bytes], Any]:
    """Python's own sha256: hashlib's is faster at much, and loads OpenSSL for 4 MiB and 2 ms."""
    from importlib import import_module

    for name in _HOMES:
        try:
            found: Callable[[bytes], Any] = import_module(name).sha256
        except ImportError:
            continue
        return found
    raise ImportError("this Python has no sha256")


@lru_cache(maxsize=4096)
def _states(key: bytes) -> tuple[Any, Any]:
    from hashlib import sha256  # with the first signature: OpenSSL takes 4 MiB

    if len(key) > _BLOCK_BYTES:
        key = sha256(key).digest()
    block = key.ljust(_BLOCK_BYTES, b"\0")
    return sha256(bytes(byte ^ 0x36 for byte in block)), sha256(
        bytes(byte ^ 0x5C for byte in block)
    )
