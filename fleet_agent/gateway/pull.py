"""``GET /inbox`` and what follows: the local agent takes messages by lease, and settles them.

Thin: ``bus.leases`` says what comes next and what a receipt is good for, ``gateway.waiters`` who
waits.
"""

from __future__ import annotations

from typing import Any, Final

from fleet_agent.bus import timestamp
from fleet_agent.bus.leases import Leases
from fleet_agent.bus.life import word
from fleet_agent.bus.strictjson import kind, parse_object
from fleet_agent.bus.turn import Turn
from fleet_agent.errors import RequestError
from fleet_agent.gateway.localonly import after_commit, refuse_others
from fleet_agent.gateway.serving import Serving
from fleet_agent.gateway.waiters import Waiters, Wish
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.types import Request, Response
from fleet_agent.wire import MessageType

_WHAT: Final = "the inbox"
_MOST_AT_ONCE: Final = 100
_DEPTH: Final = 3
_TYPES: Final = frozenset(kind.value for kind in MessageType)


class Pull:
    """The four handlers."""

    def __init__(self, serving: Serving, turn: Turn, leases: Leases, waiters: Waiters) -> None:
        self._serving = serving
        self._turn = turn
        self._leases = leases
        self._waiters = waiters

    def get(self, request: Request) -> Response | Deferred:
        """``GET /inbox?wait=SECONDS&limit=N&lease=SECONDS&type=TYPE,…``: what comes next."""
        refused = refuse_others(request, self._serving, _WHAT)
        if refused is not None:
            return refused
        if request.method == "HEAD":
            return Response(200, b"")  # whoever wants no messages is given none
        said = request.query_value
        wish = Wish(
            int(_number("limit", said("limit") or "1", whole=True, least=1, most=_MOST_AT_ONCE)),
            _seconds("lease", said("lease")),
            _types(said("type")),
        )
        return self._waiters.take(wish, _seconds("wait", said("wait")) or 0.0)

    def ack(self, request: Request) -> Response | Deferred:
        """``POST /inbox/{id}/ack``: it is handled, for ever."""
        id_ = request.params["id"]

        def change() -> dict[str, Any]:
            self._leases.ack(_read(request).receipt, id_=id_)
            return {"id": id_, "status": "handled"}

        return refuse_others(request, self._serving, _WHAT) or after_commit(self._turn, change)

    def nack(self, request: Request) -> Response | Deferred:
        """``POST /inbox/{id}/nack``: once more, later; or a dead letter, after enough times."""
        id_ = request.params["id"]

        def change() -> dict[str, Any]:
            said = _read(request, "delay", "reason")
            state = self._leases.nack(
                said.receipt, id_=id_, delay_seconds=said.seconds or 0.0, reason=said.reason
            )
            return {"id": id_, "status": word(state)}

        return refuse_others(request, self._serving, _WHAT) or after_commit(self._turn, change)

    def extend(self, request: Request) -> Response | Deferred:
        """``POST /inbox/{id}/extend``: it is still being worked on."""
        id_ = request.params["id"]

        def change() -> dict[str, Any]:
            said = _read(request, "seconds")
            until = self._leases.extend(said.receipt, id_=id_, seconds=said.seconds)
            return {"id": id_, "status": "leased", "leased_until": timestamp.show(until)}

        return refuse_others(request, self._serving, _WHAT) or after_commit(self._turn, change)


class _Said:
    """The body of a settling request."""

    def __init__(self, value: dict[str, Any]) -> None:
        self.receipt = _text(value, "receipt")
        self.reason = _text(value, "reason") if "reason" in value else ""
        name = "delay" if "delay" in value else "seconds"
        self.seconds = _given_seconds(name, value[name]) if name in value else None


def _read(request: Request, *optional: str) -> _Said:
    """Raises NotStrictJson and RequestError (400)."""
    value = parse_object(request.body, depth=_DEPTH)
    if "receipt" not in value:
        raise RequestError(
            "is missing", where="receipt",
            mend='send {"receipt": …}, as it came with the message',
        )  # fmt: skip
    for name in value:
        if name != "receipt" and name not in optional:
            known = ", ".join(("receipt", *optional))
            raise RequestError("is an unknown field", where=name[:60], mend=f"known are {known}")
    return _Said(value)


def _text(value: dict[str, Any], name: str) -> str:
    text = value[name]
    if not isinstance(text, str):
        raise RequestError(f"is {kind(text)}", where=name, mend="must be a text")
    return text


def _given_seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise RequestError("is no number of seconds", where=name, mend="0 or more")
    return float(value)


def _seconds(name: str, text: str | None) -> float | None:
    return None if text is None else _number(name, text, least=0)


def _number(name: str, text: str, *, least: float, most: float = 1e9, whole: bool = False) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not least <= number <= most or (whole and number != int(number)):
        what = f"a whole number from {least:g} to {most:g}" if whole else "a number of seconds"
        raise RequestError(f"{name} is {text[:20]!r}", where="query", mend=f"{name} is {what}")
    return number


def _types(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    types = frozenset(text.split(","))
    for one in types - _TYPES:
        raise RequestError(
            f"type is {one[:40]!r}", where="query", mend=f"one or more of {', '.join(_TYPES)}"
        )
    return types
