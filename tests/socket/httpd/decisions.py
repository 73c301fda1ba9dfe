"""Where this server decides otherwise than the shared request corpus expects, and why.

The corpus (gunicorn's) says "valid" or "invalid" a file, partly for options that we do not have.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Decision(NamedTuple):
    """The statuses of all answers, and the reason."""

    statuses: tuple[int, ...]
    why: str


_NO_HOST: Final = Decision(
    (400,), "HTTP/1.1 without Host: a server must answer 400 (RFC 9112 section 3.2)"
)
_FRAGMENT: Final = (
    "a fragment is no part of a request target (RFC 9112 section 3.2.1): what two readers make of "
    "it differs"
)
_CODING: Final = "a transfer coding that is not understood: 501 (RFC 9112 section 6.1)"
_PROXY: Final = (
    "the PROXY protocol is an option of servers behind one; here a peer is who connected, and "
    "nobody may claim to be another"
)

# The files as they are.
DECISIONS: Final[dict[str, Decision]] = {
    **{
        f"valid/{name}": _NO_HOST
        for name in ("007", "011", "013", "018", "025_line", "029", "031", "031compat2", "100")
    },
    "valid/005": Decision((400,), _FRAGMENT),
    "valid/009": Decision((400,), _FRAGMENT),
    "valid/022": Decision((404, 400), f"the second request: {_NO_HOST.why}"),
    "valid/027": Decision((400,), "a target is ASCII; anything else is percent-encoded (RFC 3986)"),
    "valid/040_compat": Decision(
        (400,),
        "Content_Length is Content-Length to whoever maps names to variables. The same bytes lie "
        "under invalid/040",
    ),
    "valid/compat_obs_fold_huge": Decision(
        (400,), "line folding is obsolete; a server may refuse it (RFC 9112 section 5.2) and we do"
    ),
    "valid/pp_01": Decision((400,), _PROXY),
    "valid/pp_05": Decision((400,), _PROXY),
    "valid/rfc9112_smuggle_gzip_chunked_01": Decision((501,), _CODING),
    "valid/rfc9112_target_authority_ipv6_01": Decision((501,), "CONNECT: this is no proxy"),
    "invalid/007": Decision(
        (404,), "about an option that limits one field; ours limits all fields together (32 KiB)"
    ),
    "invalid/011": Decision((404,), "about an option set to two fields; ours is 100"),
    "invalid/limit_header_default_01": Decision(
        (404,), "a field of 8,190 bytes; all fields together may have 32 KiB here"
    ),
}

# The files with a Host field put in where HTTP/1.1 lacks one, so that what they are about shows.
DECISIONS_WITH_HOST: Final[dict[str, Decision]] = {
    "valid/005": Decision((400,), _FRAGMENT),
    "valid/009": Decision((400,), _FRAGMENT),
    "valid/025_line": Decision((501,), _CODING),
    "valid/029": Decision((501,), f"identity went with RFC 7230; {_CODING}"),
    "valid/compat_obs_fold_huge": DECISIONS["valid/compat_obs_fold_huge"],
    "invalid/003c": Decision(
        (404,), "any token is a method (RFC 9110 section 9.1); the route knows"
    ),
    "invalid/017": Decision((404,), "about an option that limits one field to fewer bytes"),
    "invalid/019": Decision(
        (404,), "X-Forwarded fields contradict each other; none is believed here"
    ),
}
