"""One field line (header or trailer) to name and value, as strictly as RFC 9110 section 5 says.

Pure. Not for what a field means (``parse`` decides about framing).
"""

from __future__ import annotations

import re
from typing import Final

from fleet_agent.httpd.refusal import Refusal

TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Control characters but the tab, and DEL. What lies above 0x7f is obs-text: opaque, allowed.
_ILLEGAL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# Names that decide where a request ends or to whom it goes. Written with underscores they are how
# a gateway is told one thing and its backend another.
FRAMING: Final = frozenset({"content-length", "transfer-encoding", "host", "connection", "expect"})
# In a trailer these come too late to be true (RFC 9110 section 6.5.1).
NOT_IN_TRAILERS: Final = FRAMING | {
    "authorization", "cache-control", "content-encoding", "content-range", "content-type",
    "cookie", "te", "trailer", "upgrade",
}  # fmt: skip

# Usual spellings, so that one look-up replaces check and lower().
USUAL_NAMES: Final = {
    spelling: name
    for name in (
        "accept", "accept-encoding", "accept-language", "authorization", "cache-control",
        "connection", "content-encoding", "content-length", "content-type", "cookie", "date",
        "expect", "fleet-from", "host", "origin", "referer", "traceparent", "transfer-encoding",
        "user-agent", "webhook-id", "webhook-signature", "webhook-timestamp", "x-gitea-delivery",
        "x-gitea-event", "x-gitea-signature", "x-forwarded-for", "x-hub-signature-256",
    )
    for spelling in (name, name.title())
}  # fmt: skip


def read_field(line: str) -> tuple[str, str] | Refusal:
    """Name in lower case and value without the whitespace around it, or why not.

    ``line`` is one field line as latin-1 text without its CRLF.
    """
    raw, colon, value = line.partition(":")
    name = USUAL_NAMES.get(raw)
    if name is None:
        if not colon or TOKEN.fullmatch(raw) is None:
            return _bad_name(line, raw, colon)
        name = raw.lower()
        if "_" in name and name.replace("_", "-") in FRAMING:
            return Refusal(400, "a field name that only looks like a framing field",
                           "write it with a hyphen")  # fmt: skip
    elif not colon:
        return _bad_name(line, raw, colon)
    value = value.strip(" \t")
    # isprintable is the fast yes; what it denies (obs-text, a tab) may still be legal.
    if not value.isprintable() and _ILLEGAL.search(value) is not None:
        return Refusal(400, "a control character in a field value")
    return name, value


def _bad_name(line: str, raw: str, colon: str) -> Refusal:
    if line[:1] in (" ", "\t"):
        return Refusal(400, "a field line that begins with whitespace (obsolete line folding)",
                       "send each field on one line")  # fmt: skip
    if not colon:
        return Refusal(400, "a field line without a colon")
    if raw[-1:] in (" ", "\t"):
        return Refusal(400, "whitespace before the colon of a field line")
    return Refusal(400, "a field name that is no token")
