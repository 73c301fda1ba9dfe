"""The keys of one wizard's daemon, as phase ``keys`` placed them. Read here, never made.

Pair keys by peer, tokens of people and scripts (hashed), and the local agent's token.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from fleet_agent.errors import ConfigError
from fleet_agent.signing import plain_sha256
from fleet_agent.wire import TLS_CA_FILE, TLS_PAIR_FILE

VERSION: Final = 1
PAIRS_FILE: Final = "pairs.json"
TOKENS_FILE: Final = "tokens.json"
LOCAL_FILE: Final = "token"
# Only their digest counts here: TLS itself reads them.
_TLS_FILES: Final = (TLS_CA_FILE, TLS_PAIR_FILE)
_MEND: Final = "deploy again: phase keys places them"
_MOST_BYTES: Final = 64 * 1024 * 1024
NOTHING_READ: Final = "none"
_DIGITS: Final = 12
_T = TypeVar("_T")


class KeyringError(ConfigError):
    """The files of keys are there and can't be read, or are not this wizard's."""

    title = "the keys can't be used"


class PairKey(NamedTuple):
    """The key of this wizard and one peer, of one epoch of rotation."""

    epoch: int
    key: bytes

    def __repr__(self) -> str:
        return f"PairKey(epoch={self.epoch})"  # a repr ends in logs


class Keyring:
    """What ``read`` found. Immutable; a reload makes a new one."""

    __slots__ = ("_local", "_pairs", "_secrets", "_tokens", "digest")

    def __init__(
        self,
        pairs: Mapping[str, tuple[PairKey, ...]],
        tokens: Mapping[str, str],
        local_token: str | None,
        digest: str = NOTHING_READ,
    ) -> None:
        self._pairs = pairs
        self._secrets = {peer: tuple(one.key for one in keys) for peer, keys in pairs.items()}
        self._tokens = tokens
        self._local = local_token
        # Tells phase keys whether this daemon has read what lies there.
        self.digest = digest

    @classmethod
    def read(cls, keys_dir: str, wizard: str = "") -> Keyring:
        """The keys in ``keys_dir``; a file that is not there holds none.

        ``wizard`` is whose they must be. Raises KeyringError.
        """
        files = (PAIRS_FILE, TOKENS_FILE, LOCAL_FILE)
        raw = [_read(os.path.join(keys_dir, name)) for name in files]
        pairs, tokens, local = raw
        tls = [_read(os.path.join(keys_dir, name)) for name in _TLS_FILES]
        told = [one or b"" for one in raw] + [one for one in tls if one is not None]
        return cls(
            _parsed(pairs, os.path.join(keys_dir, PAIRS_FILE), wizard, _pairs),
            _parsed(tokens, os.path.join(keys_dir, TOKENS_FILE), wizard, _tokens),
            None if local is None else local.decode("ascii", "replace").strip() or None,
            plain_sha256()(b"\0".join(told)).hexdigest()[:_DIGITS] if any(raw) else NOTHING_READ,
        )

    def pair(self, peer: str) -> tuple[PairKey, ...]:
        """The keys shared with ``peer``, the newest epoch first; none where there is none."""
        return self._pairs.get(peer, ())

    def secrets(self, peer: str) -> tuple[bytes, ...]:
        """The keys of ``pair``, without their epochs."""
        return self._secrets.get(peer, ())

    @property
    def peers(self) -> tuple[str, ...]:
        """Everybody with whom a key is shared."""
        return tuple(self._pairs)

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs that are valid, the newest first."""
        found = {one.epoch for keys in self._pairs.values() for one in keys}
        return tuple(sorted(found, reverse=True))

    @property
    def local_token(self) -> str | None:
        """The token of the agent on this machine; None until phase keys has been here."""
        return self._local

    def principal(self, token: str) -> str | None:
        """Who may speak with ``token``; None for a token that is not known here.

        Only its hash is kept and looked up, so the time that this takes tells nothing of it.
        """
        if not self._tokens:
            return None
        from hashlib import sha256

        return self._tokens.get(sha256(token.encode("utf-8", "replace")).hexdigest())


NO_KEYS: Final = Keyring({}, {}, None)


def _pairs(data: Mapping[str, Any]) -> dict[str, tuple[PairKey, ...]]:
    from binascii import a2b_base64

    return {
        peer: tuple(
            sorted(
                (PairKey(int(one["epoch"]), a2b_base64(one["key"])) for one in keys), reverse=True
            )
        )
        for peer, keys in data["pairs"].items()
    }


def _tokens(data: Mapping[str, Any]) -> dict[str, str]:
    return {str(one["sha256"]): str(one["principal"]) for one in data["tokens"]}


def _parsed(
    raw: bytes | None, path: str, wizard: str, parse: Callable[[Mapping[str, Any]], dict[str, _T]]
) -> dict[str, _T]:
    if raw is None:
        return {}
    try:
        data = json.loads(raw)
        if data.get("v") == VERSION and wizard in ("", data.get("wizard")):
            return parse(data)
    except (KeyError, TypeError, ValueError, AttributeError):
        # Its own words may quote a key.
        raise KeyringError("is not what phase keys writes", where=path, mend=_MEND) from None
    raise KeyringError(f"is not {wizard}'s, or of another version", where=path, mend=_MEND)


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(_MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyringError(f"can't be read: {error.strerror}", where=path, mend=_MEND) from error
