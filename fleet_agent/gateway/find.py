"""Discovery: the registry's public part, and which wizards have a capability."""

from __future__ import annotations

from collections.abc import Callable

from fleet_agent.errors import RequestError
from fleet_agent.gateway.callers import refuse_stranger
from fleet_agent.gateway.serving import Serving
from fleet_agent.httpd.answer import json_response
from fleet_agent.httpd.types import Request, Response
from fleet_agent.registry.lookup import find
from fleet_agent.registry.schema import Wizard


def registry_handler(serving: Serving) -> Callable[[Request], Response]:
    """``GET /registry``."""

    def answer(request: Request) -> Response:
        return refuse_stranger(request, serving) or Response(200, serving.registry_json)

    return answer


def find_handler(serving: Serving) -> Callable[[Request], Response]:
    """``GET /find?capability=NAME``: a list, empty where nobody has it."""

    def answer(request: Request) -> Response:
        refused = refuse_stranger(request, serving)
        if refused is not None:
            return refused
        capability = request.query_value("capability")
        if not capability:
            raise RequestError(
                "which capability?", where="query of /find", mend="ask /find?capability=NAME"
            )
        return json_response(200, [_shown(one) for one in find(serving.registry, capability)])

    return answer


def _shown(wizard: Wizard) -> dict[str, object]:
    return {
        "name": wizard.name,
        "host": wizard.host,
        "role": str(wizard.role),
        "model": wizard.model,
        "health_endpoint": wizard.health_endpoint,
        "capabilities": list(wizard.capabilities),
    }
