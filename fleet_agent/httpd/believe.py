"""Whom a client believes at an https URL: the CA of a file, of this node's fleet, or public ones.

Not for daemons: each has its own file, and nothing else counts there.
"""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, Final

from fleet_agent.errors import ConfigError
from fleet_agent.wire import TLS_CA_FILE

if TYPE_CHECKING:
    import ssl

CA_VARIABLE: Final = "FLEET_AGENT_CA"
_ON_A_NODE: Final = f"/etc/fleet-agent/*/keys/{TLS_CA_FILE}"
_MEND: Final = "`fleet-agent tls ca` on the orchestrator prints the fleet's"


def those_of(pem: str, where: str) -> ssl.SSLContext:
    """Believes the CAs in ``pem`` and nobody else. Raises ConfigError where there is none."""
    from fleet_agent.httpd.tls import client_context

    try:
        return client_context(pem)
    except (OSError, ValueError) as error:
        raise ConfigError("holds no certificate of a CA", where=where, mend=_MEND) from error


def usual(named: str | None, *, on_a_node: str = _ON_A_NODE) -> ssl.SSLContext:
    """Believes the file ``named``, else what FLEET_AGENT_CA names, else this node's fleet, else the
    CAs of the operating system. Raises ConfigError."""
    files = sorted(glob.glob(on_a_node))
    file = named or os.environ.get(CA_VARIABLE) or (files[0] if files else None)
    if file is None:
        from fleet_agent.httpd.tls import client_context

        return client_context(None)
    try:
        with open(file, encoding="ascii", errors="replace") as source:
            return those_of(source.read(), file)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=file, mend=_MEND) from error
