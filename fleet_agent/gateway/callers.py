"""Who asks: the local agent, a peer by its signature, a person or script by a token, or nobody.

Not for what a caller may do (``admission``, and the routes).
"""

from __future__ import annotations

import logging
import re
import time
from _operator import _compare_digest
from typing import Final, NamedTuple

from fleet_agent import signing
from fleet_agent.errors import RequestError
from fleet_agent.gateway.serving import Serving
from fleet_agent.httpd.answer import problem
from fleet_agent.httpd.types import Request, Response
from fleet_agent.wire import HEADER_FROM

LOCAL: Final = "local"
PEER: Final = "peer"
TOKEN: Final = "token"  # noqa: S105 (a kind of caller)
ANYONE: Final = "anyone"

_LOOPBACK_V6: Final = "::1"
_HOST: Final = re.compile(
    r"(localhost|[0-9]+(\.[0-9]+){3}|\[[0-9a-fA-F:.]+\])(:[0-9]*)?", re.IGNORECASE
)
# W3C Fetch Metadata: who made a browser ask. A person who types the address is "none".
_FOREIGN_SITES: Final = frozenset({"cross-site", "same-site"})
_BEARER: Final = "bearer "
_SHOWN: Final = 60
# 401 must say how one could come in (RFC 9110 section 11.6.1).
_CHALLENGE: Final = (("WWW-Authenticate", 'Bearer realm="fleet-agent"'),)

_audit = logging.getLogger("fleet_agent.audit")


class Caller(NamedTuple):
    """Who asks. ``name`` is in whose name it may speak; None: in anybody's."""

    kind: str
    name: str | None


class CallerUnknown(RequestError):  # noqa: N818 (it reads as what happened)
    """A caller who may not come in, since nothing that it brought says who it is."""

    title = "caller unknown"

    def __init__(self, what: str, *, where: str, mend: str) -> None:
        super().__init__(what, status=401, where=where, mend=mend)


def identify(request: Request, serving: Serving, *, now: float | None = None) -> Caller:
    """Who sent ``request``; ``now`` is Unix seconds, the clock's where it is not given.

    Raises CallerUnknown or signing.SignatureRefused (401). A signature or token that is wrong is
    refused wherever it comes from, and with ``unsigned: allow`` too.
    """
    said = request.headers.get_lower
    if said(signing.HEADER_SIGNATURE) is not None or said(HEADER_FROM) is not None:
        return _peer(request, serving, time.time() if now is None else now)
    authorization = said("authorization")
    if authorization is not None:
        return _bearer(authorization, request, serving)
    if is_local(request) and (request.peer.kind == "unix" or serving.keyring.local_token is None):
        return Caller(LOCAL, serving.wizard)
    if serving.unsigned:
        return Caller(ANYONE, None)
    raise _stranger(request, serving)


def is_local(request: Request) -> bool:
    """Whether the caller is a process of this machine: over the Unix socket or loopback.

    A web page that a browser of this machine shows is none: what it may send without asking
    carries an Origin, or (a picture's GET) Sec-Fetch-Site, or (DNS rebinding) a Host that is no
    name of loopback.
    """
    if request.headers.get("origin") is not None:
        return False
    if request.headers.get("sec-fetch-site") in _FOREIGN_SITES:
        return False
    if request.peer.kind == "unix":
        return True
    address = request.peer.address
    if not (address.startswith("127.") or address == _LOOPBACK_V6):
        return False
    return _names_loopback(request.headers.get("host") or "")


def refuse(error: RequestError, request: Request, serving: Serving) -> Response:
    """The answer to a caller who may not do this, and one line of the audit log."""
    note(error, request, serving)
    extra = error.extra if isinstance(error, signing.SignatureRefused) else None
    return problem(error, headers=_CHALLENGE if error.http_status == 401 else (), extra=extra)


def refuse_stranger(request: Request, serving: Serving) -> Response | None:
    """The answer for a caller who may not use this, None for one who may."""
    try:
        identify(request, serving)
    except RequestError as error:
        return refuse(error, request, serving)
    return None


def note(error: RequestError, request: Request, serving: Serving) -> None:
    """Write one line of the audit log: who was refused what, and why."""
    peer = request.peer
    _audit.warning(
        "%s: refused %s %s by %s, who says to be %s: %d, %s %s",
        serving.wizard, request.method, request.path,
        f"uid {peer.uid}" if peer.kind == "unix" else peer.address,
        _short(request.headers.get(HEADER_FROM) or "nobody"),
        error.http_status, error.where, error.what,
    )  # fmt: skip


def _peer(request: Request, serving: Serving, now: float) -> Caller:
    said = request.headers.get_lower
    sender = said(HEADER_FROM) or ""
    keys = serving.keyring.secrets(sender)
    if not keys:
        if serving.unsigned:
            return Caller(ANYONE, None)
        raise CallerUnknown(
            f"{_short(sender)} is nobody with whom {serving.wizard} shares a key",
            where=HEADER_FROM,
            mend="say the name of the wizard whose key signs; keys come with a deploy",
        )
    signing.verify(
        keys,
        said(signing.HEADER_ID) or "",
        said(signing.HEADER_TIMESTAMP) or "",
        request.body,
        said(signing.HEADER_SIGNATURE) or "",
        now=now,
        window_seconds=serving.window_seconds,
    )
    return Caller(PEER, sender)


def _bearer(authorization: str, request: Request, serving: Serving) -> Caller:
    token = authorization[len(_BEARER) :].strip()
    if authorization[: len(_BEARER)].lower() == _BEARER and token:
        mine = serving.keyring.local_token
        right = mine is not None and _compare_digest(mine.encode(), token.encode())
        if right and is_local(request):
            return Caller(LOCAL, serving.wizard)
        principal = serving.keyring.principal(token)
        if principal is not None:
            return Caller(TOKEN, principal)
    raise CallerUnknown(
        "holds no token that is known here",
        where="Authorization",
        mend="Bearer and a token: `fleet-agent token create NAME` on the orchestrator makes one; "
        "the local agent's own is good on its machine only",
    )


def _stranger(request: Request, serving: Serving) -> CallerUnknown:
    if is_local(request):
        return CallerUnknown(
            "on loopback everybody of this machine can call, so the local agent's token is needed",
            where="Authorization",
            mend="curl --unix-socket /run/fleet-agent/"
            f"{serving.wizard}/agent.sock …, or with the header Authorization: Bearer and what "
            f"/etc/fleet-agent/{serving.wizard}/keys/token holds",
        )
    return CallerUnknown(
        "neither a signature nor a token says who calls",
        where=request.path,
        mend=f"ask from {serving.wizard}'s own machine, sign with the key of a peer, or bring a "
        "token: `fleet-agent token create NAME` on the orchestrator makes one",
    )


def _names_loopback(host: str) -> bool:
    found = _HOST.fullmatch(host)
    # HTTP/1.0 may leave Host out. A literal address can't be rebound to another one.
    return found is not None or not host


def _short(text: str) -> str:
    return ascii(text[:_SHOWN])
