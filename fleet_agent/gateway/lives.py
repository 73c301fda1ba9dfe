"""``/message/{id}``: the whole life of a message, on both sides; and waiting for its response.

The sender's daemon asks each receiver's when it is asked: nothing travels until somebody wants to
know.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from fleet_agent.bus.delivery import Delivery
from fleet_agent.bus.inbox import Inbox
from fleet_agent.bus.intake import Arrived
from fleet_agent.bus.leases import Leases
from fleet_agent.bus.lifestory import LifeStory
from fleet_agent.bus.turn import Turn
from fleet_agent.errors import RequestError
from fleet_agent.gateway.callers import LOCAL, TOKEN, Caller, identify, refuse
from fleet_agent.gateway.localonly import after_commit
from fleet_agent.gateway.serving import Serving
from fleet_agent.httpd.answer import json_response
from fleet_agent.httpd.client import ClientResponse
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.loop import Loop
from fleet_agent.httpd.types import Request, Response
from fleet_agent.wire import HEADER_FROM, ROUTE_MESSAGE

_OTHERS_SECONDS: Final = 5.0
# Below http_answer_seconds, so that "nothing yet" is our answer.
_LONGEST_WAIT: Final = 25.0
_MOST_ASKED: Final = 100
# For who has just read a response to say so, before anybody else may be given it.
_GRACE_SECONDS: Final = 10.0


class Lives:
    """The handlers. ``delivery`` carries the questions to other daemons."""

    def __init__(  # noqa: PLR0917 (made in one place)
        self,
        serving: Serving,
        loop: Loop,
        turn: Turn,
        stories: LifeStory,
        inbox: Inbox,
        leases: Leases,
        delivery: Delivery,
    ) -> None:
        self._serving = serving
        self._loop = loop
        self._turn = turn
        self._stories = stories
        self._inbox = inbox
        self._leases = leases
        self._delivery = delivery
        self._waiting: dict[str, list[Callable[[], None]]] = {}
        self._ended = False
        inbox.on_arrival(self._arrived)

    def get(self, request: Request) -> Response | Deferred:
        """``GET /message/{id}``, with ``?wait=SECONDS`` for its response."""
        try:
            caller = identify(request, self._serving)
        except RequestError as error:
            return refuse(error, request, self._serving)
        id_ = request.params["id"]
        wait = _seconds(request.query_value("wait"))
        if caller.kind == TOKEN:
            return self._to_a_holder(caller, id_, wait)
        if caller.kind != LOCAL:
            # Its own messages are all that another wizard may ask for.
            name = caller.name or request.headers.get(HEADER_FROM) or request.query_value("from")
            return self._theirs(name or "", id_)
        sender = request.query_value("from")
        if sender is not None and sender != self._serving.wizard:
            return self._theirs(sender, id_)
        if not wait:
            return self._ours(id_)
        self._leases.hold(id_, wait + _GRACE_SECONDS)
        return self._answer_to(id_, self._serving.wizard, wait)

    def answered(self, request: Request) -> Response | Deferred:
        """``POST /message/{id}/answered``: who waited for the response has it, so it is handled."""
        try:
            caller = identify(request, self._serving)
            if caller.kind not in (LOCAL, TOKEN):
                raise RequestError(
                    "responses are their receiver's own", status=403, where=request.path,
                    mend=f"ask on {self._serving.wizard}'s machine",
                )  # fmt: skip
        except RequestError as error:
            return refuse(error, request, self._serving)
        id_ = request.params["id"]

        def change() -> dict[str, Any]:
            # What is kept here for a token's holder is in nobody's way.
            count = self._leases.answered(id_) if caller.kind == LOCAL else 0
            return {"id": id_, "status": "handled", "count": count}

        return after_commit(self._turn, change)

    def end(self) -> None:
        """The daemon ends: answer all who wait, and let nobody wait any more."""
        self._ended = True
        for looks in list(self._waiting.values()):
            for look in list(looks):
                look()

    def _to_a_holder(self, caller: Caller, id_: str, wait: float) -> Response | Deferred:
        """The holder of a bearer token may ask for what was sent with it."""
        name = caller.name or ""
        return self._answer_to(id_, name, wait) if wait else self._theirs(name, id_)

    # A message that came in here.

    def _theirs(self, sender: str, id_: str) -> Response:
        got = self._stories.got(sender, id_)
        if got is None:
            raise _unknown(id_, f"no message of {sender[:40]!r} with this id is known here")
        value = {"id": id_, "from": sender, "received": got}
        return json_response(200, value | self._response_to(id_, sender))

    def _response_to(self, id_: str, name: str) -> dict[str, Any]:
        reply = self._inbox.reply_to(id_, name)
        return {} if reply is None else {"response": json.loads(reply)}

    # A message of the local agent's.

    def _ours(self, id_: str) -> Response | Deferred:
        sent = self._stories.sent(id_)
        if not sent:
            # To itself: it never left.
            return self._theirs(self._serving.wizard, id_)
        me = self._serving.wizard
        value = {"id": id_, "from": me, "deliveries": sent} | self._response_to(id_, me)
        asked = [one for one in sent if one["state"] == "delivered"][:_MOST_ASKED]
        if not asked:
            return json_response(200, value)
        return self._with_others(id_, value, asked)

    def _with_others(
        self, id_: str, value: dict[str, Any], asked: list[dict[str, Any]]
    ) -> Deferred:
        answer = Deferred()
        left = len(asked)

        def finish() -> None:
            timer.cancel()
            if answer.response is None:
                answer.resolve(json_response(200, value))

        def heard_for(one: dict[str, Any]) -> Callable[[ClientResponse | None, str], None]:
            def heard(said: ClientResponse | None, why: str) -> None:
                nonlocal left
                left -= 1
                one["receiver"] = _read(said, why)
                if left == 0:
                    finish()

            return heard

        timer = self._loop.call_later(_OTHERS_SECONDS, finish)
        for one in asked:
            one["receiver"] = {"unknown": f"no answer within {_OTHERS_SECONDS:g} s"}
        target = f"{ROUTE_MESSAGE}/{quote(id_, safe='')}"
        for one in asked:
            self._delivery.ask(one["to"], target, heard_for(one))
        return answer

    # Waiting for the answer to it.

    def _answer_to(self, id_: str, name: str, seconds: float) -> Response | Deferred:
        """The response to the message ``id_`` of ``name``, or 204 after ``seconds``."""
        reply = self._inbox.reply_to(id_, name)
        if reply is not None:
            return Response(200, reply)
        if self._ended:
            return Response(204)
        answer = Deferred()

        def look() -> None:
            found = self._inbox.reply_to(id_, name)
            if found is not None or self._ended:
                end(Response(200, found) if found is not None else Response(204))

        def end(response: Response) -> None:
            timer.cancel()
            looks = self._waiting.get(id_, [])
            if look in looks:
                looks.remove(look)
            if not looks:
                self._waiting.pop(id_, None)
            if answer.response is None:
                answer.resolve(response)

        timer = self._loop.call_later(seconds, lambda: end(Response(204)))
        self._waiting.setdefault(id_, []).append(look)
        answer.on_cancel(lambda: end(Response(204)))
        return answer

    def _arrived(self, arrived: list[Arrived]) -> None:
        if not self._waiting:
            return
        for message, _ in arrived:
            for look in list(self._waiting.get(message.in_reply_to or "", ())):
                look()


def _read(said: ClientResponse | None, why: str) -> dict[str, Any]:
    """The receiver's half, or why it is not known."""
    if said is None:
        return {"unknown": why}
    try:
        value = json.loads(said.body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        return {"unknown": f"answered {said.status}"}
    received = value.get("received")
    if said.status != 200 or not isinstance(received, dict):
        return {"unknown": f"{said.status}: {value.get('detail', 'no reason given')}"}
    return received


def _seconds(text: str | None) -> float:
    if text is None:
        return 0.0
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise RequestError(f"wait is {text[:20]!r}", where="query", mend="wait=SECONDS")
    return min(seconds, _LONGEST_WAIT)


def _unknown(id_: str, what: str) -> RequestError:
    return RequestError(
        what, status=404, where=id_[:140],
        mend="the sender's daemon knows its own for outbox_keep_seconds; for a message that came "
        "in ask with ?from=SENDER",
    )  # fmt: skip
