"""The client itself: the bus as one wizard's agent sees it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote, urlencode

from fleet_agent.bus.ids import Ids
from fleet_agent.client.calls import WAIT_SECONDS, Calls, refusal
from fleet_agent.client.received import Received
from fleet_agent.client.values import GivenUp, Message, NoResponse, NotHandled, Sent
from fleet_agent.errors import FleetError
from fleet_agent.wire import (
    BOX_OUTBOX,
    HANDLER_FAILED,
    MEDIA_NDJSON,
    ROUTE_DEAD_LETTERS,
    ROUTE_HEALTH,
    ROUTE_INBOX,
    ROUTE_MESSAGE,
    MessageType,
)

_PAUSE_SECONDS: Final = 0.2

_new_id: Final = Ids()


class Client:
    """The bus as one wizard's agent sees it.

    ``socket`` is the daemon's Unix socket: by default what FLEET_AGENT_SOCKET says, else the only
    one below /run/fleet-agent. Instead of it, ``url`` (``http://127.0.0.1:8646``) with the
    ``token`` of the agent, or of a person elsewhere. ``wizard`` is whose name is said; the daemon
    is asked where it is not given. ``patience`` is for how many seconds a daemon that is away or
    full is tried again. ``ca`` is a file with the CA to believe at an https URL: by default what
    FLEET_AGENT_CA names, else the fleet's CA where this is one of its nodes.

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
        ca: str | None = None,
    ) -> None:
        self._calls = Calls(socket=socket, url=url, token=token, patience=patience, ca=ca)
        self._json = self._calls.json
        self._wizard = wizard

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
        answer = self._calls.call("POST", ROUTE_MESSAGE, body, MEDIA_NDJSON)
        sent = []
        for line in answer.body.splitlines():
            said = json.loads(line)
            if "problem" in said:
                raise refusal(said["problem"], said["problem"].get("status", 400))
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
        """Send a request and wait ``timeout`` seconds for its response, which is settled with
        that: nobody else is given it. Raises NoResponse when the time is over, GivenUp when the
        request became a dead letter."""
        deadline = time.monotonic() + timeout
        sent = self.send(to, payload, ttl=max(timeout, 1.0))
        return self._wait(sent.id, deadline, timeout)

    def response_to(self, id_: str, *, timeout: float = 30.0) -> Message:
        """Wait for the response to the message ``id_`` of ours, as ``ask`` does."""
        return self._wait(id_, time.monotonic() + timeout, timeout)

    def _wait(self, id_: str, deadline: float, timeout: float) -> Message:
        while True:
            left = deadline - time.monotonic()
            wait = max(0.001, min(left, WAIT_SECONDS))
            answer = self._calls.call("GET", f"{_message_path(id_)}?wait={wait:.3f}")
            if answer.status == 200:
                # It is here; where this fails, it is only handed out once more.
                with suppress(FleetError):
                    self._json("POST", f"{_message_path(id_)}/answered", b"")
                return self._judged(json.loads(answer.body))
            if left <= 0:
                raise NoResponse(f"no response within {timeout:g} s", id_)

    # Receiving.

    def inbox(
        self,
        *,
        wait: float = 0.0,
        limit: int = 1,
        lease: float | None = None,
        types: Sequence[str] = (),
    ) -> list[Received]:
        """Take the messages that come next, ``limit`` at most; where there is none, wait for one,
        ``wait`` seconds at most (the daemon may say "none" earlier).

        Each is handed out for ``lease`` seconds (the daemon's ``inbox_lease_seconds`` without);
        of one sender there is one at a time, so that order is kept. ``types`` are those wanted.
        """
        query: dict[str, object] = {"wait": f"{min(wait, WAIT_SECONDS):.3f}", "limit": limit}
        if lease is not None:
            query["lease"] = f"{lease:.3f}"
        if types:
            query["type"] = ",".join(types)
        found = self._json("GET", f"{ROUTE_INBOX}?{urlencode(query, safe=',')}")["messages"]
        return [Received(self, one) for one in found]

    def receive(
        self, *, lease: float | None = None, types: Sequence[str] = ()
    ) -> Iterator[Received]:
        """Message after message, for ever. Each is yours to settle: ``with received: …``."""
        while True:
            asked_at = time.monotonic()
            found = self.inbox(wait=WAIT_SECONDS, lease=lease, types=types)
            yield from found
            if not found and time.monotonic() - asked_at < _PAUSE_SECONDS:
                time.sleep(_PAUSE_SECONDS)  # a daemon that lets nobody wait, or is about to end

    def ack(self, received: Received) -> None:
        """It is handled, for ever. Raises RequestError (409) when its lease is over and it was
        handed out again."""
        self.settle(received.id, received.receipt, "ack")

    def nack(self, received: Received, *, delay: float = 0.0, reason: str = "") -> bool:
        """Give it back, to come again after ``delay`` seconds. False: it was the last attempt, and
        it is a dead letter now, with ``reason``. Raises RequestError (409)."""
        said = self.settle(received.id, received.receipt, "nack", delay=delay, reason=reason)
        return bool(said["status"] == "delivered")

    def extend(self, received: Received, seconds: float | None = None) -> None:
        """Hold it for ``seconds`` from now on, as long as a lease is without. Raises RequestError
        (409)."""
        more = {} if seconds is None else {"seconds": seconds}
        said = self.settle(received.id, received.receipt, "extend", **more)
        received.leased_until = said["leased_until"]

    def settle(self, id_: str, receipt: str, how: str, **more: object) -> dict[str, Any]:
        """``ack``, ``nack`` or ``extend`` by id and receipt: for who has written them down."""
        path = f"{ROUTE_INBOX}/{quote(id_, safe='')}/{how}"
        return self._json("POST", path, _encoded({"receipt": receipt, **more}))

    # Lives and dead letters.

    def life(self, id_: str, *, sender: str | None = None) -> dict[str, Any]:
        """All that is known of a message of ours, at the receivers too; of one that came in, with
        its ``sender``."""
        query = "" if sender is None else f"?from={quote(sender, safe='')}"
        return self._json("GET", f"{_message_path(id_)}{query}")

    def dead_letters(self, after: int = 0, *, box: str = BOX_OUTBOX) -> list[dict[str, Any]]:
        """A hundred dead letters at most, those behind the number ``after``: of the ``outbox``
        (nobody took them) or of the ``inbox`` (handed out too often)."""
        found = self._json("GET", f"{ROUTE_DEAD_LETTERS}?after={after:d}&box={box}")
        return list(found["dead_letters"])

    def retry(self, number: int, *, box: str = BOX_OUTBOX) -> None:
        """Send a dead letter once more, with a new time to live; or hand it out once more."""
        self._json("POST", f"{ROUTE_DEAD_LETTERS}/{number:d}/retry?box={box}", b"")

    def drop(self, number: int, *, box: str = BOX_OUTBOX) -> None:
        """Forget a dead letter."""
        self._json("POST", f"{ROUTE_DEAD_LETTERS}/{number:d}/drop?box={box}", b"")

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
        if isinstance(payload, dict) and payload.get("error") == HANDLER_FAILED:
            raise NotHandled(
                f"{message.sender} gave it up: {payload.get('reason')}",
                where=str(message.in_reply_to),
                mend=f"look at {message.sender}'s dead letters, and at its handler",
            )
        return message


_OPTIONAL: Final = ("id", "in_reply_to", "ttl", "hops")


def _message_path(id_: str) -> str:
    return f"{ROUTE_MESSAGE}/{quote(id_, safe='')}"


def _encoded(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
