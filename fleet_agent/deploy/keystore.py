"""What fleet-deploy keeps of keys: the master key, the epochs of rotation, the tokens' hashes.

Files below ``<state>/keys``, 0600, written whole and fsynced. Not for what is made of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from fleet_agent.deploy.keyfile import Files, KeyStoreError
from fleet_agent.deploy.pairkeys import MASTER_BYTES
from fleet_agent.errors import RequestError

VERSION: Final = 1
TOKEN_PREFIX: Final = "fat_"  # noqa: S105 (how tokens begin, so that scanners find lost ones)
_MOST_TOKENS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Epochs:
    """The epochs that are valid: ``current``, and ``previous``, which bridges the last rotation.

    ``placed`` is the newest epoch of which every node is known to have the keys.
    """

    current: int = 1
    previous: int | None = None
    placed: int = 0
    rotated_at: float | None = None
    rotated_by: str = ""

    @property
    def valid(self) -> tuple[int, ...]:
        """The valid ones, the newest first."""
        return (self.current,) if self.previous is None else (self.current, self.previous)


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """A bearer token as it is kept: never itself. ``wizards`` empty: every wizard takes it."""

    id: str
    principal: str
    sha256: str
    wizards: tuple[str, ...]
    created_at: float
    created_by: str

    def shown(self) -> dict[str, Any]:
        """What lists show."""
        value = asdict(self)
        del value["sha256"]
        return value


class KeyStore:
    """The files below ``directory``. Threads may share one."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._files = Files(directory)
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Make directory and master key, once in the life of a fleet. Raises KeyStoreError."""
        with self._lock:
            self._files.make_directory()
            if os.path.exists(self._files.path("master")):
                return
            if os.path.exists(self._files.path("epochs.json")):
                raise KeyStoreError(
                    "the master key is gone, while there are keys made with it",
                    where=self._files.path("master"),
                    mend="put it back from a backup; or remove this directory: the next deploy "
                    "then gives all nodes new keys, and until its end they refuse each other",
                )
            # The epochs come last: without them a master key is known to be new.
            self._files.write("master", secrets.token_bytes(MASTER_BYTES))
            self._files.write("epochs.json", _json(asdict(Epochs())))

    def master(self) -> bytes:
        """The master key. Raises KeyStoreError."""
        key = self._files.read("master")
        if key is None or len(key) != MASTER_BYTES:
            raise KeyStoreError(
                f"holds no key of {MASTER_BYTES} bytes" if key else "is not there",
                where=self._files.path("master"),
                mend="fleet-deploy makes it at its start: systemctl restart fleet-deploy",
            )
        return key

    def epochs(self) -> Epochs:
        """The epochs in force. Raises KeyStoreError."""
        data = self._files.object("epochs.json", VERSION)
        if data is None:
            return Epochs()
        try:
            return Epochs(**data)
        except TypeError as error:
            raise KeyStoreError(str(error), where=self._files.path("epochs.json")) from error

    def rotate(self, now: float, by: str) -> Epochs:
        """Begin the next epoch; the one before stays valid.

        Raises RequestError (409) while some node may lack the current one: it would be left with
        no key that the others still know.
        """
        with self._lock:
            before = self.epochs()
            if before.placed < before.current:
                raise RequestError(
                    f"epoch {before.current} is not known to be on every node yet",
                    status=409,
                    where="keys rotate",
                    mend="fleet-agent deploy; when it is verified, rotate again",
                )
            after = Epochs(before.current + 1, before.current, before.placed, now, by)
            self._files.write("epochs.json", _json(asdict(after)))
            return after

    def placed(self, epoch: int) -> None:
        """Note that every node has the keys of ``epoch``: a deploy that placed them is verified."""
        with self._lock:
            now = self.epochs()
            if epoch > now.placed:
                self._files.write("epochs.json", _json(asdict(replace(now, placed=epoch))))

    def tokens(self) -> tuple[TokenEntry, ...]:
        """All tokens, as they are kept. Raises KeyStoreError."""
        data = self._files.object("tokens.json", VERSION)
        try:
            return tuple(
                TokenEntry(**{**one, "wizards": tuple(one["wizards"])})
                for one in (data or {"tokens": []})["tokens"]
            )
        except (TypeError, KeyError) as error:
            raise KeyStoreError(
                f"is damaged: {error}", where=self._files.path("tokens.json")
            ) from error

    def create_token(
        self, principal: str, wizards: Iterable[str], now: float, by: str
    ) -> tuple[TokenEntry, str]:
        """A new token, bound to ``principal``; the second value is the token, told only here."""
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        digest = hashlib.sha256(token.encode()).hexdigest()
        entry = TokenEntry(secrets.token_hex(4), principal, digest, tuple(wizards), now, by)
        with self._lock:
            kept = self.tokens()
            if len(kept) >= _MOST_TOKENS:
                raise RequestError(f"there are {len(kept)} tokens already", status=409)
            self._keep((*kept, entry))
        return entry, token

    def revoke_token(self, id_: str) -> TokenEntry:
        """Forget a token. Raises RequestError (404) where there is none with this id."""
        with self._lock:
            kept = self.tokens()
            gone = next((one for one in kept if one.id == id_), None)
            if gone is None:
                raise RequestError(
                    f"there is no token {id_[:40]!r}", status=404, mend="fleet-agent token list"
                )
            self._keep(tuple(one for one in kept if one is not gone))
            return gone

    def _keep(self, tokens: tuple[TokenEntry, ...]) -> None:
        self._files.write("tokens.json", _json({"tokens": [asdict(one) for one in tokens]}))


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps({"v": VERSION, **value}, indent=1).encode() + b"\n"
