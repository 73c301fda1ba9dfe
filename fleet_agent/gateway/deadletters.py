"""``/dead-letters``: what was given up; retry it or drop it. For the local agent alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fleet_agent.bus.deadletters import DeadLetters
from fleet_agent.bus.turn import Turn, TurnLost
from fleet_agent.errors import FleetError, RequestError
from fleet_agent.gateway.callers import LOCAL, identify, refuse
from fleet_agent.gateway.serving import Serving
from fleet_agent.httpd.answer import json_response, problem
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.types import Request, Response

_MOST: Final = 100


class DeadLetterRoutes:
    """The three handlers. What they change is answered after the turn's commit."""

    def __init__(self, serving: Serving, turn: Turn, letters: DeadLetters) -> None:
        self._serving = serving
        self._turn = turn
        self._letters = letters

    def list(self, request: Request) -> Response:
        """``GET /dead-letters?after=NUMBER``: a hundred at most, oldest first."""
        refused = self._refuse(request)
        if refused is not None:
            return refused
        after = _number(request.query_value("after") or "0")
        found = self._letters.list(after, _MOST)
        return json_response(200, {"count": self._letters.count(), "dead_letters": found})

    def retry(self, request: Request) -> Response | Deferred:
        """``POST /dead-letters/{number}/retry``: back into the outbox, with a new time to live."""
        return self._refuse(request) or self._change(
            request, lambda number: {"number": self._letters.retry(number), "status": "accepted"}
        )

    def drop(self, request: Request) -> Response | Deferred:
        """``POST /dead-letters/{number}/drop``."""

        def drop(number: int) -> dict[str, object]:
            self._letters.drop(number)
            return {"number": number, "status": "dropped"}

        return self._refuse(request) or self._change(request, drop)

    def _refuse(self, request: Request) -> Response | None:
        try:
            caller = identify(request, self._serving)
            if caller.kind != LOCAL:
                raise RequestError(
                    "dead letters are their sender's own", status=403, where=request.path,
                    mend=f"ask on {self._serving.wizard}'s machine",
                )  # fmt: skip
        except RequestError as error:
            return refuse(error, request, self._serving)
        return None

    def _change(
        self, request: Request, change: Callable[[int], dict[str, object]]
    ) -> Response | Deferred:
        answer = Deferred()

        def done(_: str, result: object) -> None:
            if isinstance(result, FleetError):
                answer.resolve(problem(result))
            else:
                answer.resolve(json_response(200, result))

        value: dict[str, object] | None = None
        try:
            value = change(_number(request.params["number"]))
        except TurnLost:
            value = None  # never told: the turn's error is
        self._turn.tell(done, "", value)
        return answer


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise RequestError(f"{text[:20]!r} is no number", where="number")
    return int(text)
