"""What fleet-deploy answers about keys and tokens: shows ids, rotates, and queues what places them.

A key never leaves by this door, and a token only once, to who had it made.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from fleet_agent.deploy import history, protocol
from fleet_agent.deploy.entry import FleetNow, Kind, Request
from fleet_agent.deploy.keystore import KeyStore
from fleet_agent.deploy.protocol import Line
from fleet_agent.deploy.queue import Queue
from fleet_agent.errors import RequestError
from fleet_agent.services.changes import Changes
from fleet_agent.services.deploy_rights import Caller
from fleet_agent.services.deploy_words import AskedBy

_log = logging.getLogger("fleet_agent.deploy")

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,28}\Z")
_NAME_WORDS: Final = "a-z, then a-z, 0-9 and -, 29 at most"


@dataclass(frozen=True, slots=True)
class KeyWords:
    """The words. ``store`` holds the keys; a deploy of what the fleet runs places them."""

    store: KeyStore
    queue: Queue
    changes: Changes

    def answers(self) -> Mapping[str, AskedBy]:
        """Each word with what answers it."""
        return {
            protocol.KEYS: self.show,
            protocol.KEYS_ROTATE: self.rotate,
            protocol.TOKENS: self.tokens,
            protocol.TOKEN_CREATE: self.create_token,
            protocol.TOKEN_REVOKE: self.revoke_token,
        }

    def show(self, caller: Caller, line: Line) -> Mapping[str, Any]:
        """The epochs, and the key ids that the last verified deploy placed, by wizard and peer."""
        with self.queue.reading() as db:
            now = history.fleet_now(db)
            result = None if now is None else history.get(db, now.deploy).result
        return {"epochs": asdict(self.store.epochs()), "keys": _placed(result or {})}

    def rotate(self, caller: Caller, line: Line) -> Mapping[str, Any]:
        """Begin the next epoch, and queue the deploy that places it."""
        if self._what_runs() is None:
            raise RequestError(
                "nothing was deployed yet, so there is no key to rotate", status=409, where="keys"
            )
        epochs = self.store.rotate(time.time(), caller.name)
        _log.info("fleet-deploy: %s began epoch %d of keys", caller.name, epochs.current)
        return {"epochs": asdict(epochs), "deploy": self.place(caller)}

    def tokens(self, caller: Caller, line: Line) -> Mapping[str, Any]:
        """All tokens: ids, principals, wizards; never the tokens."""
        return {"tokens": [one.shown() for one in self.store.tokens()]}

    def create_token(self, caller: Caller, line: Line) -> Mapping[str, Any]:
        """A token bound to ``principal``, taken by ``wizards`` (none named: by all)."""
        principal, wizards = line.get("principal"), line.get("wizards", [])
        if not isinstance(principal, str) or not _NAME.match(principal):
            raise RequestError("is no name", where="principal", mend=_NAME_WORDS)
        if not isinstance(wizards, list) or not all(
            isinstance(one, str) and _NAME.match(one) for one in wizards
        ):
            raise RequestError("is no list of wizards' names", where="wizards", mend=_NAME_WORDS)
        entry, token = self.store.create_token(principal, wizards, time.time(), caller.name)
        _log.info("fleet-deploy: %s made token %s of %s", caller.name, entry.id, principal)
        return {"token": token, "entry": entry.shown(), "deploy": self.place(caller)}

    def revoke_token(self, caller: Caller, line: Line) -> Mapping[str, Any]:
        """Forget the token ``id``; it is refused once the deploy that this queues is through."""
        gone = self.store.revoke_token(str(line.get("id") or ""))
        _log.info("fleet-deploy: %s revoked token %s of %s", caller.name, gone.id, gone.principal)
        return {"entry": gone.shown(), "deploy": self.place(caller)}

    def _what_runs(self) -> FleetNow | None:
        with self.queue.reading() as db:
            return history.fleet_now(db)

    def place(self, caller: Caller) -> Mapping[str, Any] | None:
        """Queue a deploy of what the fleet runs; None before the first one, which places them."""
        now = self._what_runs()
        if now is None:
            return None
        request = Request(
            Kind.MANUAL, f"refs/deploys/{now.deploy}", caller.name, "socket", False, now.commit
        )
        asked = self.queue.ask(request)
        self.changes.ring()
        return asked.summary()


def _placed(result: Mapping[str, Any]) -> dict[str, Any]:
    evidence = result.get("runs", {}).get("forward", {}).get("evidence", {})
    found: dict[str, Any] = {}
    for phases in evidence.values():
        found.update(phases.get("keys", {}).get("keys", {}))
    return found
