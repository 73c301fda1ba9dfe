"""Keys derived from the fleet's master key: one a pair of wizards, by HKDF-SHA256. Pure.

A node gets its own wizards' pairs and nothing else, so it can speak only as them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Any, Final

MASTER_BYTES: Final = 32
_ID_DIGITS: Final = 12
_DIGEST_DIGITS: Final = 32


def hkdf(secret: bytes, info: bytes, length: int = 32, salt: bytes = b"") -> bytes:
    """HKDF-SHA256 (RFC 5869), extract and expand. ``length`` is in bytes, 8160 at most."""
    extracted = hmac.digest(salt or bytes(32), secret, "sha256")
    made, block = b"", b""
    for number in range(1, -(-length // 32) + 1):
        block = hmac.digest(extracted, block + info + bytes([number]), "sha256")
        made += block
    return made[:length]


def pair_key(master: bytes, fleet: str, epoch: int, one: str, other: str) -> bytes:
    """The key of two wizards in one epoch, whichever of them is named first."""
    first, second = sorted((one, other))
    return hkdf(master, _info("pair", fleet, str(epoch), first, second))


def key_id(key: bytes) -> str:
    """What may be shown of a key: it tells two apart and says nothing of them."""
    return hashlib.sha256(b"fleet-agent key id\0" + key).hexdigest()[:_ID_DIGITS]


def secret_digest(master: bytes, fleet: str, wizard: str, place: str, content: bytes) -> str:
    """What a release keeps of a secret file: a keyed digest, so that nobody can try out words."""
    key = hkdf(master, _info("secret digest", fleet))
    told = _info("", wizard, place) + content
    return hmac.digest(key, told, "sha256").hex()[:_DIGEST_DIGITS]


def pairs_of(
    master: bytes, fleet: str, epochs: Sequence[int], wizard: str, everybody: Iterable[str]
) -> dict[str, list[tuple[int, bytes]]]:
    """The keys that ``wizard`` shares with each of the others, by peer, the newest epoch first."""
    return {
        peer: [(epoch, pair_key(master, fleet, epoch, wizard, peer)) for epoch in epochs]
        for peer in everybody
        if peer != wizard
    }


def _info(*words: str) -> bytes:
    # Names hold no NUL, so two lists of words never give the same bytes.
    return "\0".join(("fleet-agent v1", *words, "")).encode()


def as_text(pairs: dict[str, list[tuple[int, bytes]]]) -> dict[str, Any]:
    """``pairs`` as they stand in pairs.json."""
    from base64 import b64encode

    return {
        peer: [{"epoch": epoch, "key": b64encode(key).decode()} for epoch, key in keys]
        for peer, keys in sorted(pairs.items())
    }
