"""Which handler answers which path and method: 404, 405 with Allow, HEAD from GET, OPTIONS.

Decides only; calling the handler is the server's part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import unquote

from fleet_agent.httpd.answer import refuse
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.types import Request, Response

Handler = Callable[[Request], Response | Deferred]

_NOTHING: Mapping[str, str] = MappingProxyType({})
DEFAULT_BODY_LIMIT = "http_body_bytes"


class Route(NamedTuple):
    """One method of one pattern. A part of the pattern in braces (``/hook/{forge}``) takes one
    segment of the path. ``body_limit`` names the limit (``limits.TABLE``) of its body."""

    method: str
    pattern: str
    handler: Handler
    body_limit: str = DEFAULT_BODY_LIMIT


class Match(NamedTuple):
    """The route of a request and what its pattern took from the path."""

    route: Route
    params: Mapping[str, str]


class Router:
    """Routes by path and method; a literal path goes before a pattern.

    Raises ValueError for two routes of one method and pattern.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._literal: dict[str, dict[str, Route]] = {}
        self._patterns: dict[tuple[str, ...], dict[str, Route]] = {}
        for route in routes:
            if "{" in route.pattern:
                methods = self._patterns.setdefault(tuple(route.pattern.split("/")), {})
            else:
                methods = self._literal.setdefault(route.pattern, {})
            if route.method in methods:
                raise ValueError(f"two routes for {route.method} {route.pattern}")
            methods[route.method] = route
        # By far the most requests end here: one look-up.
        self._exact = {
            (route.method, path): Match(route, _NOTHING)
            for path, methods in self._literal.items()
            for route in methods.values()
        }

    def find(self, method: str, raw_path: str) -> Match | Response:
        """The match for a path that is still percent-encoded, or the answer that refuses it.

        Matching comes before decoding, so that an encoded slash stays inside its segment.
        """
        exact = self._exact.get((method, raw_path))
        if exact is not None:
            return exact
        methods = self._literal.get(raw_path)
        params = _NOTHING
        if methods is None:
            for parts, candidate in self._patterns.items():
                taken = _take(parts, raw_path.split("/"))
                if taken is not None:
                    methods, params = candidate, taken
                    break
        if methods is None:
            if raw_path == "*" and method == "OPTIONS":
                return Response(204, headers=(("Allow", "GET, HEAD, OPTIONS, POST"),))
            return refuse(404, "nothing is here", where=raw_path, mend="see docs/operations.md")
        route = methods.get(method)
        if route is None and method == "HEAD":
            route = methods.get("GET")
        if route is not None:
            return Match(route, params)
        allow = (("Allow", _allow(methods)),)
        if method == "OPTIONS":
            return Response(204, headers=allow)
        return refuse(405, f"{method} is not for this", where=raw_path,
                      mend=f"use {allow[0][1]}", headers=allow)  # fmt: skip

    @property
    def body_limits(self) -> dict[tuple[str, str], str]:
        """The names of the limits for bodies, by method and path, of paths without a pattern."""
        return {key: match.route.body_limit for key, match in self._exact.items()}

    def body_limit(self, method: str, raw_path: str) -> str:
        """The name of the limit for the body of such a request."""
        found = self.find(method, raw_path)
        return found.route.body_limit if isinstance(found, Match) else DEFAULT_BODY_LIMIT


def _take(parts: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    if len(parts) != len(segments):
        return None
    taken: dict[str, str] = {}
    for part, segment in zip(parts, segments, strict=True):
        if part.startswith("{") and part.endswith("}"):
            if not segment:
                return None
            taken[part[1:-1]] = unquote(segment)
        elif part != segment:
            return None
    return taken


def _allow(methods: Mapping[str, Route]) -> str:
    names = {*methods, "OPTIONS"}
    if "GET" in names:
        names.add("HEAD")
    return ", ".join(sorted(names))
