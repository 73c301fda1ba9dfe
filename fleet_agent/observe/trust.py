"""Whose certificates are believed when the fleet is looked at: those of its own CA.

Where the CA's certificate comes from is the caller's matter: a file, or over ssh a node.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fleet_agent import proc
from fleet_agent.errors import CouldNotLook, FleetError
from fleet_agent.httpd import believe
from fleet_agent.registry.schema import Registry, Wizard
from fleet_agent.wire import TLS_CA_FILE

if TYPE_CHECKING:
    import ssl

# The CA certificates as PEM. Raises FleetError where they can't be had.
Authorities = Callable[[], str]

_MOST_BYTES = 1024 * 1024


class Trust(NamedTuple):
    """What believes the fleet's CA and nobody else; None, and why, where that is not known."""

    context: ssl.SSLContext | None
    why: str = ""

    @classmethod
    def of(cls, registry: Registry, authorities: Authorities) -> Trust:
        """Asks ``authorities`` only where a wizard speaks TLS."""
        if not any(wizard.tls for wizard in registry):
            return cls(None)
        try:
            return cls(believe.those_of(authorities(), "the fleet's CA"))
        except FleetError as error:
            return cls(None, f"the fleet's CA is not known here: {error}")


def nobody() -> str:
    """Knows no CA."""
    raise CouldNotLook("nobody was named", mend="fleet-agent tls ca")


def from_node(argv: Sequence[str], wizard: Wizard, seconds: float) -> str:
    """The CA's certificates as they lie on the node of ``wizard``, which ``argv`` logs in to.

    Raises CouldNotLook.
    """
    path = f"/etc/fleet-agent/{wizard.name}/keys/{TLS_CA_FILE}"
    command = [*argv, shlex.join(["cat", path])]
    try:
        return proc.run(command, timeout_seconds=seconds, most_bytes=_MOST_BYTES).text + "\n"
    except FleetError as error:
        raise CouldNotLook(error.what, where=f"{wizard.host}: {path}") from error
