"""What only the local agent may do, and answers that wait for the commit of what they changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fleet_agent.bus.turn import Turn, TurnLost
from fleet_agent.errors import FleetError, RequestError
from fleet_agent.gateway.callers import LOCAL, identify, refuse
from fleet_agent.gateway.serving import Serving
from fleet_agent.httpd.answer import json_response, problem
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.types import Request, Response


def refuse_others(request: Request, serving: Serving, what: str) -> Response | None:
    """The answer for everybody but the local agent, with its audit line; None for the agent.

    ``what`` is its alone: "the inbox".
    """
    try:
        caller = identify(request, serving)
        if caller.kind != LOCAL:
            raise RequestError(
                f"{what} is for {serving.wizard}'s own agent", status=403, where=request.path,
                mend=f"ask on {serving.wizard}'s machine",
            )  # fmt: skip
    except RequestError as error:
        return refuse(error, request, serving)
    return None


def after_commit(turn: Turn, change: Callable[[], dict[str, Any]]) -> Deferred:
    """Change something in this turn; the answer comes when it is on disk.

    What ``change`` raises, but for TurnLost, is raised.
    """
    answer = Deferred()

    def done(_: str, result: object) -> None:
        if isinstance(result, FleetError):
            answer.resolve(problem(result))
        else:
            answer.resolve(json_response(200, result))

    value: dict[str, Any] | None = None
    try:
        value = change()
    except TurnLost:
        value = None  # never told: the turn's error is
    turn.tell(done, "", value)
    return answer
