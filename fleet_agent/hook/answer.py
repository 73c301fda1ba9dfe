"""What the forge is answered: a status, and a body to be read in the forge's log. Pure."""

from __future__ import annotations

from fleet_agent.deploy import protocol
from fleet_agent.errors import FleetError, RequestError, TryAgain
from fleet_agent.forge.events import Ignored, Refusal
from fleet_agent.httpd.answer import json_response, problem
from fleet_agent.httpd.types import Response


def ignored(what: Ignored) -> Response:
    """200: genuine, and it deploys nothing."""
    return json_response(
        200, {"status": "works" if what.works else "ignored", "reason": what.reason}
    )


def refused(what: Refusal) -> Response:
    """401 or 400, as a problem."""
    return problem(RequestError(what.what, status=what.status, mend=what.mend, where="the webhook"))


def submitted(answer: protocol.Line) -> Response:
    """202 when a deploy is queued on disk; 200 when the delivery needs none of its own."""
    status = answer.get("status")
    value: dict[str, object] = {"deploy": answer.get("deploy"), "state": answer.get("state")}
    if status == "queued":
        return json_response(202, value)
    value["status"] = status
    if answer.get("reason"):
        value["reason"] = answer["reason"]
    # Folded into an entry that still waits: the push will be deployed, as by a queued one.
    waits = status == "folded" and answer.get("state") == "queued"
    return json_response(202 if waits else 200, value)


def not_queued(error: FleetError) -> Response:
    """503 with the reason: nothing is queued. What fleet-deploy refuses keeps its own status."""
    if error.retryable or error.http_status >= 500:
        return problem(
            TryAgain(
                f"nothing is queued: {error.what}",
                where=error.where,
                mend=error.mend or "redeliver it, or run fleet-agent deploy",
            )
        )
    return problem(error)
