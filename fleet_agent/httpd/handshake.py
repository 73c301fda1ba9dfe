"""Why TLS did not come about, in words that name the mend. Knows ``ssl``'s errors by their shape.

Apart from ``tls``, so that whoever shows these words need not import ``ssl``.
"""

from __future__ import annotations

from typing import Any, Final

from fleet_agent.errors import NodeError

# X509_V_ERR_… of OpenSSL → what it means to a fleet.
_VERDICTS: Final = {
    9: ("its certificate is not valid yet", "set the clock that is off"),
    10: ("its certificate has expired", "`fleet-agent deploy` gives it a new one"),
    18: ("its certificate is signed by itself", "something else listens there: ss -ltnp"),
    19: ("its certificate is not from this fleet's CA", "something else listens there: ss -ltnp"),
    20: (
        "its certificate is not from a CA that is believed here",
        "`fleet-agent tls ca` prints the fleet's; `fleet-agent deploy` places it on the nodes",
    ),
    62: (
        "its certificate is for another name",
        "another machine has this address, or fleet.yaml names it anew: `fleet-agent deploy`",
    ),
    64: (
        "its certificate is for another address",
        "another machine has this address, or fleet.yaml names it anew: `fleet-agent deploy`",
    ),
}
_NO_TLS: Final = frozenset(
    ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE")
)
_GONE: Final = frozenset(("UNEXPECTED_EOF_WHILE_READING", "EOF occurred in violation of protocol"))


# How words about a certificate begin.
CERTIFICATE: Final = "its certificate"


class BadCertificate(NodeError):  # noqa: N818 (it reads as what happened)
    """Who answers has no certificate that proves to be who was asked."""

    title = "not who was asked"


class NoTls(NodeError):  # noqa: N818 (it reads as what happened)
    """Who answers does not come to an agreement on TLS. Plain HTTP is never tried instead."""

    title = "no TLS"


def is_about_certificate(error: OSError) -> bool:
    """Whether an error of ``ssl`` is a verdict on the other end's certificate."""
    return isinstance(getattr(error, "verify_code", None), int)


def verdict(error: Any) -> tuple[str, str]:
    """What is wrong with a certificate, and the mend."""
    known = _VERDICTS.get(error.verify_code)
    return known or (f"its certificate is refused: {error.verify_message}", "look who is there")


def failure(error: Any, where: str) -> BadCertificate | NoTls:
    """The error to raise for one of ``ssl`` while a connection is made."""
    if is_about_certificate(error):
        what, mend = verdict(error)
        return BadCertificate(what, where=where, mend=mend)
    return NoTls(
        explain(error), where=where, mend="does it speak TLS? compare `tls:` in fleet.yaml"
    )


def explain(error: Any) -> str:
    """An error of ``ssl`` in one line."""
    if is_about_certificate(error):
        return "{} ({})".format(*verdict(error))
    reason = str(getattr(error, "reason", None) or error.strerror or error)
    if reason in _NO_TLS:
        return "no TLS is spoken there"
    if reason in _GONE:
        return "the connection ended in the middle of TLS"
    return f"TLS: {reason.lower().replace('_', ' ')}"
