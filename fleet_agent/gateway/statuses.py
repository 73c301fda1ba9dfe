"""What became of messages, as answers: one alone, or a line for each of a batch.

Not for taking them (``messages``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fleet_agent.bus.intake import Outcome
from fleet_agent.bus.message import MessageRefused
from fleet_agent.errors import FleetError, RequestError
from fleet_agent.httpd.answer import json_response, problem
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.types import Response
from fleet_agent.wire import MEDIA_NDJSON

_MULTI_STATUS: Final = 207


class Alone(Deferred):
    """The status of one message."""

    __slots__ = ()

    def told(self, id_: str, outcome: Outcome | FleetError) -> None:
        """What became of it."""
        if outcome is Outcome.ACCEPTED:
            self.resolve(accepted(id_))
        else:
            self.resolve(status_of(id_, outcome))


class Batch:
    """The statuses of one batch, answered as soon as the last of them is known."""

    def __init__(self, count: int) -> None:
        self.answer = Deferred()
        self._lines = [b""] * count
        self._left = count
        self._kept = True

    def hears(self, number: int) -> Callable[[str, Outcome | FleetError], None]:
        """What the line ``number`` is to be told with."""

        def told(id_: str, outcome: Outcome | FleetError) -> None:
            if outcome is Outcome.ACCEPTED:
                # Ids are checked or made by us: nothing in them needs escaping.
                self._lines[number] = f'{{"id":"{id_}","status":"accepted"}}\n'.encode()
            else:
                self._refused_or_known(number, status_of(id_, outcome))
            self._left -= 1
            if self._left == 0:
                self.answer.resolve(self._response())

        return told

    def _refused_or_known(self, number: int, alone: Response) -> None:
        """``alone`` is what the message would have been answered by itself."""
        if alone.status == 200:
            self._lines[number] = alone.body + b"\n"
        else:
            self._kept = False
            self._lines[number] = b'{"status":"refused","problem":' + alone.body + b"}\n"

    def _response(self) -> Response:
        status = 202 if self._kept else _MULTI_STATUS
        return Response(status, b"".join(self._lines), MEDIA_NDJSON)


def status_of(id_: str, outcome: Outcome | FleetError) -> Response:
    """What one message is answered."""
    if outcome is Outcome.ACCEPTED:
        return accepted(id_)
    if outcome is Outcome.DUPLICATE:
        return json_response(200, {"id": id_, "status": "duplicate"})
    if outcome is Outcome.CONFLICT:
        return problem(
            RequestError(
                f"{id_} is here already, with another body",
                status=409,
                where="id",
                mend="give each message an id of its own, or none",
                title="id taken",
            )
        )
    return problem_of(outcome)


def accepted(id_: str) -> Response:
    """That a message is on disk."""
    # Ids are checked or made by us: nothing in them needs escaping.
    return Response(202, f'{{"id":"{id_}","status":"accepted"}}'.encode())


def problem_of(error: FleetError) -> Response:
    """The problem that refuses a message."""
    extra = error.extra if isinstance(error, MessageRefused) else None
    return problem(error, extra=extra)
