"""Asks a wizard's daemon how it is as its peers do: over TLS, at its listen address, disbelieving.

Judges TLS alone. Whether the address can be reached from here is no matter of the daemon's.
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import Final

from fleet_agent.node import health
from fleet_agent.node.keyfiles import AUTHORITIES, tls_places
from fleet_agent.node.layout import Layout
from fleet_agent.release.manifest import WizardInputs
from fleet_agent.wire import ROUTE_HEALTH

_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def why_not(layout: Layout, wizard: WizardInputs, seconds: float = health.ASK_SECONDS) -> str:
    """Why a peer would not get on with ``wizard`` over TLS; empty when it would."""
    address = _WILDCARDS.get(wizard.address, wizard.address)
    try:
        line = socket.create_connection((address, wizard.port), seconds)
    except OSError:
        return ""  # its units are judged elsewhere
    where = f"https://{address}:{wizard.port}"
    deadline = time.monotonic() + seconds
    with line:
        try:
            context = ssl.create_default_context(
                cafile=layout.at(tls_places(wizard.name)[AUTHORITIES])
            )
            name = address.partition("%")[0]
            with context.wrap_socket(line, server_hostname=name) as secured:
                request = f"GET {ROUTE_HEALTH} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                secured.sendall(request.encode())
                answer = health.read(health.whole(secured, deadline))
        except ssl.SSLCertVerificationError as error:
            return f"its certificate is not good at {where}: {error.verify_message}"
        except OSError as error:
            return f"speaks no TLS at {where}: {error.strerror or error}"
    if answer.why or answer.wizard != wizard.name:
        return f"at {where}: {answer.why or f'the answer is that of {answer.wizard}'}"
    return ""
