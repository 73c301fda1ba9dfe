"""``/dead-letters``: what was given up; retry it or drop it. For the local agent alone.

Two boxes: what this wizard sent and nobody took, and what came in and was tried too often.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from fleet_agent.bus.turn import Turn
from fleet_agent.errors import RequestError
from fleet_agent.gateway.localonly import after_commit, refuse_others
from fleet_agent.gateway.serving import Serving
from fleet_agent.httpd.answer import json_response
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.types import Request, Response
from fleet_agent.wire import BOX_INBOX, BOX_OUTBOX

_MOST: Final = 100
_WHAT: Final = "the box of dead letters"


class Box(Protocol):
    """One box's dead letters (``bus.deadletters``)."""

    def count(self) -> int: ...
    def list(self, after: int, count: int) -> list[dict[str, Any]]: ...
    def retry(self, number: int) -> int: ...
    def drop(self, number: int) -> None: ...


class DeadLetterRoutes:
    """The three handlers, for ``?box=outbox`` (by default) and ``?box=inbox``. What they change is
    answered after the turn's commit."""

    def __init__(self, serving: Serving, turn: Turn, outgoing: Box, incoming: Box) -> None:
        self._serving = serving
        self._turn = turn
        self._boxes: dict[str, Box] = {BOX_OUTBOX: outgoing, BOX_INBOX: incoming}

    def list(self, request: Request) -> Response:
        """``GET /dead-letters?after=NUMBER``: a hundred at most, in the order of their numbers."""
        refused = refuse_others(request, self._serving, _WHAT)
        if refused is not None:
            return refused
        box = self._box(request)
        found = box.list(_number(request.query_value("after") or "0"), _MOST)
        return json_response(200, {"count": box.count(), "dead_letters": found})

    def retry(self, request: Request) -> Response | Deferred:
        """``POST /dead-letters/{number}/retry``: once more, behind all others."""

        def retry() -> dict[str, Any]:
            number = self._box(request).retry(_number(request.params["number"]))
            return {"number": number, "status": "accepted"}

        return refuse_others(request, self._serving, _WHAT) or after_commit(self._turn, retry)

    def drop(self, request: Request) -> Response | Deferred:
        """``POST /dead-letters/{number}/drop``."""

        def drop() -> dict[str, Any]:
            number = _number(request.params["number"])
            self._box(request).drop(number)
            return {"number": number, "status": "dropped"}

        return refuse_others(request, self._serving, _WHAT) or after_commit(self._turn, drop)

    def _box(self, request: Request) -> Box:
        name = request.query_value("box") or BOX_OUTBOX
        if name not in self._boxes:
            raise RequestError(
                f"box is {name[:20]!r}", where="query", mend=f"one of {', '.join(self._boxes)}"
            )
        return self._boxes[name]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise RequestError(f"{text[:20]!r} is no number", where="number")
    return int(text)
