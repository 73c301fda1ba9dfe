"""Asks a wizard's daemon how it is, over its local socket, and reads the answer by its body."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from fleet_agent.wire import DESCRIPTION, PROBLEM_TYPE, ROUTE_HEALTH, Health

ASK_SECONDS: Final = 2.0
_MOST_BYTES: Final = 256 * 1024


class Answer(NamedTuple):
    """What a daemon said of itself. ``why`` says why there is no body, else empty.

    ``release`` is the release whose files it runs from, ``installed`` the one in force, ``keys``
    a digest of the keys that it has read; ``output`` is what it complains of.
    """

    wizard: str = ""
    status: str = ""
    running: str = ""
    installed: str = ""
    release: str = ""
    body: Mapping[str, Any] | None = None
    why: str = ""
    keys: str = ""

    @property
    def output(self) -> tuple[str, ...]:
        """What it says is not as it should be."""
        said = (self.body or {}).get("output")
        return tuple(str(line) for line in said) if isinstance(said, list) else ()

    @property
    def well(self) -> bool:
        """Whether it answered and does not call itself failed."""
        return self.status in (Health.PASS, Health.WARN)


def ask(path: str, seconds: float = ASK_SECONDS) -> Answer:
    """Ask the daemon behind the socket ``path``; an answer says also why there is none.

    It must be whole within ``seconds``: whoever has the daemon's account may answer for ever.
    """
    request = f"GET {ROUTE_HEALTH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(seconds)
            line.connect(path)
            line.sendall(request.encode())
            data = whole(line, time.monotonic() + seconds)
    except OSError as error:
        return Answer(why=f"no answer on {path}: {error.strerror or error}")
    return read(data)


def whole(line: socket.socket, deadline: float) -> bytes:
    """All that comes until the end, before the monotonic ``deadline``. Raises OSError."""
    parts, size = [], 0
    while size < _MOST_BYTES:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer does not end")
        line.settimeout(left)
        part = line.recv(65536)
        if not part:
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def read(data: bytes) -> Answer:
    """The answer in the bytes of an HTTP response. Pure."""
    head, _, body = data.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
        return Answer(why="what answered speaks no HTTP")
    code = words[1][:3].decode("ascii", "replace")
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return Answer(why=f"answered {code} {_no_health(body, 'no JSON')}")
    if not isinstance(said, dict):
        return Answer(why=f"answered {code} with no JSON object: not our daemon?")
    if _text(said, "type").startswith(PROBLEM_TYPE):
        # Ours without a doubt: a handler broke, or the daemon is too busy to say how it is.
        return Answer(why=f"the daemon answered {code} instead of its health: {_detail(said)}")
    if not _text(said, "serviceId"):
        return Answer(why=f"answered {code} {_no_health(body, 'no health')}")
    return Answer(
        wizard=_text(said, "serviceId"),
        status=_text(said, "status"),
        running=_text(said, "running"),
        installed=_text(said, "installed"),
        release=_text(said, "releaseId"),
        body=said,
        keys=_keys(said),
    )


def _no_health(body: bytes, else_: str) -> str:
    """What a body is that is no health answer: a part of one of ours, or something else."""
    ours = f'"description":"{DESCRIPTION}'.encode() in body
    return "with a broken health answer of ours" if ours else f"with {else_}: not our daemon?"


def _detail(problem: Mapping[str, Any]) -> str:
    mend = _text(problem, "mend")
    return (_text(problem, "detail") or "no reason") + (f" ({mend})" if mend else "")


def _keys(said: Mapping[str, Any]) -> str:
    try:
        value = said["checks"]["bus:keys"][0]["observedValue"]["digest"]
    except (KeyError, IndexError, TypeError):
        return ""
    return value if isinstance(value, str) else ""


def _text(said: Mapping[str, Any], key: str) -> str:
    value = said.get(key)
    return value if isinstance(value, str) else ""
