"""For agents: send messages over the wizard's own daemon, ask and wait, look into lives and deaths.

Standard library only, blocking, safe to use from several threads. Not for the daemon itself.

    from fleet_agent.client import Client
    bus = Client()                                     # the daemon of this machine
    sent = bus.send("bezalel", {"do": "review"})       # on disk when it returns
    answer = bus.ask("bezalel", "2+2?", timeout=30)    # waits for the response
    print(answer.payload, bus.life(sent.id))
"""

from __future__ import annotations

import glob
import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from fleet_agent.bus.ids import Ids
from fleet_agent.errors import ConfigError, FleetError, RequestError, TryAgain
from fleet_agent.httpd.client import ClientResponse, NoAnswer, request
from fleet_agent.wire import (
    MEDIA_JSON,
    MEDIA_NDJSON,
    ROUTE_DEAD_LETTERS,
    ROUTE_HEALTH,
    ROUTE_MESSAGE,
    MessageType,
)

SOCKET_VARIABLE: Final = "FLEET_AGENT_SOCKET"
_SOCKETS: Final = "/run/fleet-agent/*/agent.sock"
# How long one wait on the daemon's side lasts; it is asked again until the caller's time is over.
_WAIT_SECONDS: Final = 20.0
_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_AGAIN: Final = frozenset({429, 500, 502, 503, 504, 507})

_new_id: Final = Ids()


class NoResponse(TryAgain):
    """Nobody answered in time. The request itself is not lost; ``id`` names it."""

    title = "no response yet"

    def __init__(self, what: str, id_: str) -> None:
        super().__init__(what, where=id_, mend=f"fleet-agent message {id_} tells where it is")
        self.id = id_


class GivenUp(FleetError):  # noqa: N818 (it reads as what happened)
    """A message could not be delivered and is a dead letter now."""

    title = "a dead letter"


class Sent(NamedTuple):
    """A message that is on disk. ``status`` is ``accepted``, or ``duplicate`` for a repeat."""

    id: str
    status: str


class Message(NamedTuple):
    """A message as an agent sees it."""

    sender: str
    to: str
    type: str
    payload: Any
    id: str
    in_reply_to: str | None
    hops: int

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Message:
        """The message in an envelope."""
        return cls(
            value["from"], value["to"], value["type"], value["payload"], value.get("id", ""),
            value.get("in_reply_to"), value.get("hops", 0),
        )  # fmt: skip


class Client:
    """The bus as one wizard's agent sees it.

    ``socket`` is the daemon's Unix socket: by default what FLEET_AGENT_SOCKET says, else the only
    one below /run/fleet-agent. Instead of it, ``url`` (``http://127.0.0.1:8646``) with the
    ``token`` of the agent, or of a person elsewhere. ``wizard`` is whose name is said; the daemon
    is asked where it is not given. ``patience`` is for how many seconds a daemon that is away or
    full is tried again.

    All methods raise RequestError for what was refused, NoAnswer or TryAgain when patience is over.
    """

    def __init__(
        self,
        *,
        socket: str | None = None,
        url: str | None = None,
        token: str | None = None,
        wizard: str | None = None,
        patience: float = 10.0,
    ) -> None:
        if socket is not None and url is not None:
            raise ConfigError("a socket or a URL, not both")
        self._socket = (socket or _only_socket()) if url is None else None
        self._url = (url or "http://agent").rstrip("/")
        self._token = token
        self._wizard = wizard
        self._patience = patience

    @property
    def wizard(self) -> str:
        """The wizard whose agent this is."""
        if self._wizard is None:
            self._wizard = str(self._json("GET", ROUTE_HEALTH)["wizard"])
        return self._wizard

    # Sending.

    def send(
        self,
        to: str,
        payload: Any,
        *,
        type: str = MessageType.REQUEST,
        id: str | None = None,
        in_reply_to: str | None = None,
        ttl: float | None = None,
        hops: int | None = None,
    ) -> Sent:
        """Send one message: on the daemon's disk when this returns, whatever happens then.

        ``to`` is a wizard, ``*`` (broadcast and alert) or ``capability:NAME`` (request); ``ttl``
        is in seconds. Without an ``id`` it is given one here, so that trying again is harmless.
        """
        envelope = self._envelope(
            to, payload, type, id=id, in_reply_to=in_reply_to, ttl=ttl, hops=hops
        )
        said = self._json("POST", ROUTE_MESSAGE, _encoded(envelope))
        return Sent(said["id"], said["status"])

    def send_many(self, envelopes: Sequence[Mapping[str, Any]]) -> list[Sent]:
        """Send many messages in one go, in their order; each is a mapping with ``to``, ``type``
        and ``payload``. Raises RequestError with the first refusal; those before it are sent."""
        whole = [
            self._envelope(one["to"], one["payload"], one.get("type", MessageType.REQUEST),
                           **{key: one[key] for key in _OPTIONAL if key in one})
            for one in envelopes
        ]  # fmt: skip
        body = b"\n".join(_encoded(one) for one in whole)
        answer = self._call("POST", ROUTE_MESSAGE, body, MEDIA_NDJSON)
        sent = []
        for line in answer.body.splitlines():
            said = json.loads(line)
            if "problem" in said:
                raise _refusal(said["problem"], said["problem"].get("status", 400))
            sent.append(Sent(said["id"], said["status"]))
        return sent

    def reply(self, message: Message, payload: Any) -> Sent:
        """Answer ``message``."""
        return self.send(
            message.sender, payload, type=MessageType.RESPONSE, in_reply_to=message.id,
            hops=message.hops + 1,
        )  # fmt: skip

    def broadcast(self, payload: Any, *, topic: str | None = None) -> Sent:
        """Send to every wizard; with a ``topic``, to those who subscribed to it. ``payload`` is
        then a mapping, or becomes one: ``{"topic": …, "value": payload}``."""
        if topic is not None:
            inside = payload if isinstance(payload, Mapping) else {"value": payload}
            payload = {**inside, "topic": topic}
        return self.send("*", payload, type=MessageType.BROADCAST)

    def ask(self, to: str, payload: Any, *, timeout: float = 30.0) -> Message:
        """Send a request and wait ``timeout`` seconds for its response.

        Raises NoResponse when the time is over, GivenUp when it became a dead letter.
        """
        deadline = time.monotonic() + timeout
        sent = self.send(to, payload, ttl=max(timeout, 1.0))
        return self._wait(sent.id, deadline, timeout)

    def response_to(self, id_: str, *, timeout: float = 30.0) -> Message:
        """Wait for the response to the message ``id_`` of ours. Raises NoResponse and GivenUp."""
        return self._wait(id_, time.monotonic() + timeout, timeout)

    def _wait(self, id_: str, deadline: float, timeout: float) -> Message:
        while True:
            left = deadline - time.monotonic()
            wait = max(0.001, min(left, _WAIT_SECONDS))
            answer = self._call("GET", f"{_message_path(id_)}?wait={wait:.3f}")
            if answer.status == 200:
                return self._judged(json.loads(answer.body))
            if left <= 0:
                raise NoResponse(f"no response within {timeout:g} s", id_)

    # Lives and dead letters.

    def life(self, id_: str, *, sender: str | None = None) -> dict[str, Any]:
        """All that is known of a message of ours, at the receivers too; of one that came in, with
        its ``sender``."""
        query = "" if sender is None else f"?from={quote(sender, safe='')}"
        return self._json("GET", f"{_message_path(id_)}{query}")

    def dead_letters(self, after: int = 0) -> list[dict[str, Any]]:
        """A hundred dead letters at most, those behind the number ``after``."""
        found = self._json("GET", f"{ROUTE_DEAD_LETTERS}?after={after:d}")["dead_letters"]
        return list(found)

    def retry(self, number: int) -> None:
        """Send a dead letter once more, with a new time to live."""
        self._json("POST", f"{ROUTE_DEAD_LETTERS}/{number:d}/retry", b"")

    def drop(self, number: int) -> None:
        """Forget a dead letter."""
        self._json("POST", f"{ROUTE_DEAD_LETTERS}/{number:d}/drop", b"")

    # Within.

    def _envelope(self, to: str, payload: Any, kind: str, **more: Any) -> dict[str, Any]:
        envelope = {
            "from": self.wizard, "to": to, "type": str(kind), "payload": payload,
            "timestamp": time.time(), "id": more.pop("id", None) or _new_id(),
        }  # fmt: skip
        return envelope | {key: value for key, value in more.items() if value is not None}

    def _judged(self, envelope: Mapping[str, Any]) -> Message:
        message = Message.of(envelope)
        payload = message.payload
        ours = message.sender == self.wizard and isinstance(payload, dict)
        if ours and payload.get("error") == "dead-letter":
            raise GivenUp(
                f"not delivered to {payload.get('to')}: {payload.get('reason')}",
                where=str(message.in_reply_to),
                mend="fleet-agent dead-letters list",
            )
        return message

    def _json(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        value = json.loads(self._call(method, path, body).body)
        return value if isinstance(value, dict) else {}

    def _call(
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
                    method, self._url + path, max(left, 1.0) + _WAIT_SECONDS, body=body,
                    headers=headers, unix_path=self._socket, body_limit=64 << 20,
                )  # fmt: skip
            except NoAnswer:
                if left <= pause:
                    raise
            else:
                health = path == ROUTE_HEALTH and answer.status == 503
                if answer.status < 400 or health:
                    return answer
                if answer.status not in _AGAIN or left <= pause:
                    raise _refusal(_problem(answer.body), answer.status)
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


_OPTIONAL: Final = ("id", "in_reply_to", "ttl", "hops")


def _message_path(id_: str) -> str:
    return f"{ROUTE_MESSAGE}/{quote(id_, safe='')}"


def _encoded(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _problem(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}


def _refusal(problem: Mapping[str, Any], status: int) -> FleetError:
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
