"""The words of fleet-deploy's socket: one JSON line in, JSON lines out. Pure.

Answers are ``{"ok": true, ...}`` or ``{"ok": false, "error": {what, where, mend, status}}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Final, TypeVar

from fleet_agent.deploy import heard
from fleet_agent.deploy.entry import Seen, Submission
from fleet_agent.errors import EXIT_FAILED, FleetError, RequestError, TryAgain

SUBMIT: Final = "submit"
RECORD: Final = "record"
DEPLOY: Final = "deploy"
ROLLBACK: Final = "rollback"
CHECK: Final = "check"
LIST: Final = "list"
SHOW: Final = "show"
FOLLOW: Final = "follow"
DELIVERIES: Final = "deliveries"
STATUS: Final = "status"
KEYS: Final = "keys"
KEYS_ROTATE: Final = "keys-rotate"
TLS: Final = "tls"
TLS_ROTATE: Final = "tls-rotate"
TOKENS: Final = "tokens"
TOKEN_CREATE: Final = "token-create"  # noqa: S105 (a word)
TOKEN_REVOKE: Final = "token-revoke"  # noqa: S105 (a word)

_TEXT_CHARS: Final = 1000

Line = Mapping[str, Any]
_T = TypeVar("_T", Submission, Seen)


class FromService(FleetError):  # noqa: N818 (it reads as who said it)
    """What fleet-deploy answered, with its own status."""

    title = "fleet-deploy refused"

    def __init__(self, what: str, *, status: int, where: str = "", mend: str = "") -> None:
        super().__init__(what, where=where, mend=mend)
        self.http_status = status
        self.retryable = status == TryAgain.http_status
        self.exit_code = RequestError.exit_code if 400 <= status < 500 else EXIT_FAILED


def encode(value: Line) -> bytes:
    """One line."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Line:
    """The object of one line. Raises RequestError."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise RequestError("a line to fleet-deploy must be one JSON object") from None
    if not isinstance(value, dict):
        raise RequestError("a line to fleet-deploy must be one JSON object")
    return value


def refusal(error: FleetError) -> Line:
    """The answer for an error."""
    return {
        "ok": False,
        "error": {
            "what": error.what,
            "where": error.where,
            "mend": error.mend,
            "status": error.http_status,
        },
    }


def checked(answer: Line) -> Line:
    """``answer`` if it is a good one. Raises FromService for a refusal."""
    if answer.get("ok") is True:
        return answer
    said = answer.get("error")
    error: Mapping[str, Any] = said if isinstance(said, dict) else {}
    status = error.get("status")
    raise FromService(
        str(error.get("what") or "an answer that says nothing"),
        status=status if isinstance(status, int) else 500,
        where=str(error.get("where") or ""),
        mend=str(error.get("mend") or ""),
    )


def submit_line(pushed: Submission) -> Line:
    """The line that hands a pushed tag over."""
    return {"do": SUBMIT, **asdict(pushed)}


def record_line(seen: Seen) -> Line:
    """The line that has a delivery written down which deploys nothing."""
    return {"do": RECORD, **asdict(seen)}


def read_as(wanted: type[_T], line: Line) -> _T:
    """A Submission or Seen out of a line. Raises RequestError for missing or wrong values."""
    values: dict[str, Any] = {}
    for one in fields(wanted):
        if one.name not in line:
            continue
        value = line[one.name]
        if type(value).__name__ != one.type:
            raise RequestError(f"{one.name} must be {one.type}", where=str(line.get("do")))
        # What is kept and logged is no larger than a forge ever makes it.
        values[one.name] = heard.text(value, _TEXT_CHARS) if isinstance(value, str) else value
    try:
        return wanted(**values)
    except TypeError:
        missing = [one.name for one in fields(wanted) if one.name not in values]
        raise RequestError(
            f"lacks one of {', '.join(missing)}", where=str(line.get("do"))
        ) from None
