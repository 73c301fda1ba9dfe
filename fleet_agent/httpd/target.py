"""A request target to path and query: percent-decoding once, strictly.

Pure. Not for routing: dot segments and doubled slashes stay as they are, and match no route.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from fleet_agent.httpd.refusal import Refusal

_PLAIN: Final = re.compile(r"/[A-Za-z0-9\-._~/]*")
# Characters of RFC 3986 in path and query; "#" (a fragment never travels) and the rest are not.
_LEGAL: Final = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@%/?\[\]]*")
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ABSOLUTE: Final = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_AUTHORITY: Final = re.compile(
    r"(?:[A-Za-z0-9\-._~!$&'()*+,;=%]+|\[[0-9A-Fa-f:.]{2,45}(?:%25[A-Za-z0-9._~\-]{1,16})?\])"
    r"(?::[0-9]{0,5})?"
)


class Target(NamedTuple):
    """``raw_path`` is for matching (still encoded), ``path`` and ``query`` are decoded."""

    raw_path: str
    path: str
    query: tuple[tuple[str, str], ...]


def is_authority(text: str) -> bool:
    """Whether ``text`` is a host with or without a port, as a Host field has it."""
    return _AUTHORITY.fullmatch(text) is not None


def read_target(method: str, target: str) -> Target | Refusal:
    """The target in origin form, absolute form (http, https), or ``*`` for OPTIONS; else why not.

    Source: RFC 9112 section 3.2. CONNECT is refused: this is no proxy.
    """
    if _PLAIN.fullmatch(target) is not None:
        return Target(target, target, ())
    if target[:1] == "/":
        return _origin(target)
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is not None:
        authority, rest = absolute.groups()
        if not is_authority(authority):
            return Refusal(400, "a target whose host is not a host")
        return _origin(rest if rest.startswith("/") else f"/{rest}")
    if target == "*" and method == "OPTIONS":
        return Target("*", "*", ())
    return Refusal(400, "a target that is neither a path nor an http URL",
                   "begin the path with a slash")  # fmt: skip


def _origin(text: str) -> Target | Refusal:
    if _LEGAL.fullmatch(text) is None:
        return Refusal(400, "a character in the target that must be percent-encoded",
                       "percent-encode it, and leave out the fragment")  # fmt: skip
    if _BROKEN_ESCAPE.search(text) is not None:
        return Refusal(400, "a broken percent-escape in the target")
    raw_path, _, raw_query = text.partition("?")
    try:
        path = _decode(raw_path)
        query = tuple(_pair(part) for part in raw_query.split("&") if part)
    except ValueError:
        return Refusal(400, "a target that is not UTF-8, or has NUL in it, once decoded")
    return Target(raw_path, path, query)


def _pair(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return _decode(name.replace("+", " ")), _decode(value.replace("+", " "))


def _decode(text: str) -> str:
    """Raises ValueError (UnicodeDecodeError is one) for what is no text."""
    if "%" not in text:
        return text
    decoded = unquote_to_bytes(text).decode("utf-8")
    if "\0" in decoded:
        raise ValueError("NUL")
    return decoded
