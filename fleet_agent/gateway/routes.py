"""The gateway's routes, put together. Not for what they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fleet_agent.gateway.find import find_handler, registry_handler
from fleet_agent.gateway.serving import Serving
from fleet_agent.httpd.router import Route, Router
from fleet_agent.httpd.types import Request, Response
from fleet_agent.wire import ROUTE_FIND, ROUTE_HEALTH, ROUTE_REGISTRY


def build(serving: Serving, bus: Iterable[Route], health: Callable[[Request], Response]) -> Router:
    """The router of all of the gateway's sockets. ``bus`` are the routes of boxes and messages."""
    return Router(
        (
            Route("GET", ROUTE_HEALTH, health),
            Route("GET", ROUTE_REGISTRY, registry_handler(serving)),
            Route("GET", ROUTE_FIND, find_handler(serving)),
            *bus,
        )
    )
