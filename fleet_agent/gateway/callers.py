"""Who is asking: somebody of this machine, or somebody from elsewhere.

Signatures and tokens come with phase ``keys``; until then the machine's border is the only one.
"""

from __future__ import annotations

import re
from typing import Final

from fleet_agent.errors import RequestError
from fleet_agent.gateway.serving import Serving
from fleet_agent.httpd.answer import problem
from fleet_agent.httpd.types import Request, Response

_LOOPBACK_V6: Final = "::1"
_HOST: Final = re.compile(
    r"(localhost|[0-9]+(\.[0-9]+){3}|\[[0-9a-fA-F:.]+\])(:[0-9]*)?", re.IGNORECASE
)
# 401 must say how one could come in (RFC 9110 section 11.6.1).
_CHALLENGE: Final = (("WWW-Authenticate", 'Bearer realm="fleet-agent"'),)


def is_local(request: Request) -> bool:
    """Whether the caller is a process of this machine: over the Unix socket or loopback.

    A web page that a browser of this machine shows is none: what it may send without asking
    carries an Origin, or (DNS rebinding) a Host that is no name of loopback.
    """
    if request.headers.get("origin") is not None:
        return False
    if request.peer.kind == "unix":
        return True
    address = request.peer.address
    if not (address.startswith("127.") or address == _LOOPBACK_V6):
        return False
    return _names_loopback(request.headers.get("host") or "")


def refuse_stranger(request: Request, serving: Serving) -> Response | None:
    """The answer for a caller who may not use this, None for one who may."""
    if serving.unsigned or is_local(request):
        return None
    error = RequestError(
        "only callers of this machine are let in: this wizard has no keys yet",
        status=401,
        where=request.path,
        mend=f"ask from {serving.wizard}'s own machine; keys come with phase keys, and in a "
        "private overlay `unsigned: allow` lets everybody in",
        title="caller unknown",
    )
    return problem(error, headers=_CHALLENGE)


def _names_loopback(host: str) -> bool:
    found = _HOST.fullmatch(host)
    # HTTP/1.0 may leave Host out. A literal address can't be rebound to another one.
    return found is not None or not host
