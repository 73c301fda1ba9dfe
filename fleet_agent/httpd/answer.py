"""Answers that every room gives: JSON values and problems (RFC 9457).

Not for bytes on the wire (``write``) and not for which status fits: an error's class says that.
"""

from __future__ import annotations

import json

from fleet_agent.errors import FleetError, RequestError
from fleet_agent.httpd.types import Response
from fleet_agent.wire import MEDIA_JSON, MEDIA_PROBLEM, PROBLEM_TYPE

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode

RETRY_SECONDS = "1"


def json_response(
    status: int,
    value: object,
    content_type: str = MEDIA_JSON,
    headers: tuple[tuple[str, str], ...] = (),
) -> Response:
    """``value`` as compact JSON. Raises ValueError for what JSON cannot say (NaN, an object)."""
    return Response(
        status, _encode(value).encode("utf-8", "backslashreplace"), content_type, headers
    )


def problem(
    error: FleetError,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    extra: dict[str, object] | None = None,
) -> Response:
    """The problem+json answer of an error: type, title, status, detail, where and mend.

    ``extra`` adds members of the caller's own (RFC 9457 section 3.2). An error that may go away
    by itself says when to come back.
    """
    value: dict[str, object] = {
        "type": f"{PROBLEM_TYPE}{error.title.replace(' ', '-')}",
        "title": error.title,
        "status": error.http_status,
        "detail": error.what,
    }
    if error.where:
        value["where"] = error.where
    if error.mend:
        value["mend"] = error.mend
    if extra:
        value.update(extra)
    if error.retryable:
        headers = (*headers, ("Retry-After", RETRY_SECONDS))
    return json_response(error.http_status, value, MEDIA_PROBLEM, headers)


def refuse(
    status: int,
    what: str,
    *,
    mend: str = "",
    where: str = "",
    headers: tuple[tuple[str, str], ...] = (),
) -> Response:
    """A problem without an exception: what the HTTP core itself refuses."""
    return problem(RequestError(what, status=status, where=where, mend=mend), headers=headers)
