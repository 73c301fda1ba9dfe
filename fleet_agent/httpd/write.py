"""An answer to bytes, and the date that all of them carry.

Not for reading (``parse``) and not for sending (``connection``).
"""

from __future__ import annotations

import time
from typing import Final

from fleet_agent.httpd.standard import PHRASES, http_date
from fleet_agent.httpd.types import Response

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_STATUS_LINES: Final = {
    status: f"HTTP/1.1 {status} {phrase}\r\nDate: " for status, phrase in PHRASES.items()
}
_MOST_HEADS: Final = 256
_CONNECTION: Final = {
    (1, True): "\r\n\r\n",  # kept alive is HTTP/1.1's default, so nothing is said
    (1, False): "\r\nConnection: close\r\n\r\n",
    (0, True): "\r\nConnection: keep-alive\r\n\r\n",
    (0, False): "\r\nConnection: close\r\n\r\n",
}


class Writer:
    """Renders answers; keeps the Date field, which changes once a second."""

    __slots__ = ("_date", "_heads", "_second")

    def __init__(self) -> None:
        self._second = 0
        self._date = ""
        # Heads of this second's answers: most are alike, but for the body behind them.
        self._heads: dict[tuple[int, str, int, int, bool], bytes] = {}

    def render(self, response: Response, *, minor: int, keep_alive: bool, head: bool) -> bytes:
        """The answer as bytes; ``head`` leaves the body out and keeps its length.

        Raises ValueError for a header field that would break the framing (a bug of a handler).
        """
        status, body, content_type, headers = response
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._date = http_date(second)
            self._heads.clear()
        key = (status, content_type, len(body), minor, keep_alive)
        if not (headers or head):
            known = self._heads.get(key)
            if known is not None:
                return known + body
        start = _STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\nDate: "
        more = "".join([_line(name, value) for name, value in headers]) if headers else ""
        if status in (204, 304):
            return f"{start}{self._date}{more}{_CONNECTION[minor, keep_alive]}".encode("latin-1")
        text = (
            f"{start}{self._date}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}{more}{_CONNECTION[minor, keep_alive]}"
        )
        data = text.encode("latin-1")
        if head:
            return data
        if not headers and len(self._heads) < _MOST_HEADS:
            self._heads[key] = data
        return data + body


def _line(name: str, value: str) -> str:
    if "\r" in value or "\n" in value or "\r" in name or "\n" in name or ":" in name:
        raise ValueError(f"the header field {name!r} has a line break in it")
    return f"\r\n{name}: {value}"
