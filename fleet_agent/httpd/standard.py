"""What of the standard library's ``http.server`` stays: HTTPServer, the phrases, the date.

Why only that: docs/decisions/0001-event-loop-inside-http-server.md.
"""

from __future__ import annotations

import sys
from email.utils import formatdate
from typing import Final

if "ssl" in sys.modules:
    from http.server import BaseHTTPRequestHandler, HTTPServer
else:
    # http.server imports http.client, and that imports ssl where it can (it works without): 4 MiB
    # and 5 ms of a daemon that may have 25 MiB and 60 ms. None in sys.modules is the documented
    # way to say "not there". What needs TLS imports ssl itself, later, and finds it.
    sys.modules["ssl"] = None  # type: ignore[assignment]
    try:
        from http.server import BaseHTTPRequestHandler, HTTPServer
    finally:
        del sys.modules["ssl"]

PHRASES: Final[dict[int, str]] = {
    int(status): phrase for status, (phrase, _) in BaseHTTPRequestHandler.responses.items()
}


def http_date(unix: float) -> str:
    """A time in seconds since 1970 as HTTP says it: ``Sun, 06 Nov 1994 08:49:37 GMT``."""
    return formatdate(unix, usegmt=True)


__all__ = ["PHRASES", "HTTPServer", "http_date"]
