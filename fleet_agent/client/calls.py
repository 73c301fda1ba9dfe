"""Exchanges with one daemon, tried again while that may help. Not for what they mean (``api``)."""

from __future__ import annotations

import glob
import json
import os
import time
from collections.abc import Mapping
from typing import Any, Final

from fleet_agent.errors import ConfigError, FleetError, RequestError, TryAgain
from fleet_agent.httpd.believe import usual
from fleet_agent.httpd.client import ClientResponse, NoAnswer, request
from fleet_agent.wire import MEDIA_JSON, ROUTE_HEALTH

SOCKET_VARIABLE: Final = "FLEET_AGENT_SOCKET"
# How long one wait on the daemon's side lasts; it is asked again until the caller's time is over.
WAIT_SECONDS: Final = 20.0
_SOCKETS: Final = "/run/fleet-agent/*/agent.sock"
_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_MOST_BYTES: Final = 64 << 20
_AGAIN: Final = frozenset({429, 500, 502, 503, 504, 507})


class Calls:
    """The way to one daemon; see ``Client`` for what the arguments are."""

    def __init__(
        self,
        *,
        socket: str | None,
        url: str | None,
        token: str | None,
        patience: float,
        ca: str | None,
    ) -> None:
        if socket is not None and url is not None:
            raise ConfigError("a socket or a URL, not both")
        self._socket = (socket or _only_socket()) if url is None else None
        self._url = (url or "http://agent").rstrip("/")
        self._token = token
        self._patience = patience
        self._tls = usual(ca) if self._url.startswith("https:") else None

    def json(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        """One exchange whose answer is a JSON object."""
        value = json.loads(self.call(method, path, body).body)
        return value if isinstance(value, dict) else {}

    def call(
        self, method: str, path: str, body: bytes | None = None, media: str = MEDIA_JSON
    ) -> ClientResponse:
        """One exchange, tried again while it may help. A repeat is harmless: ids are made here."""
        deadline = time.monotonic() + self._patience
        pause = _PAUSE_SECONDS
        headers = [("Content-Type", media)] if body is not None else []
        if self._token is not None:
            headers.append(("Authorization", f"Bearer {self._token}"))
        while True:
            left = deadline - time.monotonic()
            try:
                answer = request(
                    method, self._url + path, max(left, 1.0) + WAIT_SECONDS, body=body,
                    headers=headers, unix_path=self._socket, body_limit=_MOST_BYTES, tls=self._tls,
                )  # fmt: skip
            except NoAnswer:
                if left <= pause:
                    raise
            else:
                health = path == ROUTE_HEALTH and answer.status == 503
                if answer.status < 400 or health:
                    return answer
                if answer.status not in _AGAIN or left <= pause:
                    raise refusal(_problem(answer.body), answer.status)
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


def _problem(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}


def refusal(problem: Mapping[str, Any], status: int) -> FleetError:
    """The error that a problem+json tells."""
    what = str(problem.get("detail") or f"answered {status}")
    where, mend = str(problem.get("where", "")), str(problem.get("mend", ""))
    if status in _AGAIN:
        return TryAgain(what, where=where, mend=mend)
    title = str(problem.get("title", ""))
    return RequestError(what, status=status, where=where, mend=mend, title=title)


def _only_socket() -> str:
    named = os.environ.get(SOCKET_VARIABLE)
    if named:
        return named
    found = sorted(glob.glob(_SOCKETS))
    if len(found) == 1:
        return found[0]
    raise ConfigError(
        f"{len(found)} daemons of this machine could be meant" if found
        else "no daemon of this machine has a socket",
        where=_SOCKETS,
        mend=f"name one: --socket PATH, or {SOCKET_VARIABLE}=PATH",
    )  # fmt: skip
