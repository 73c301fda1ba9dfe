"""TLS of one daemon: its own certificate, and whom it believes. Read at the start and on SIGHUP.

``ssl`` is imported where TLS is spoken for the first time, never in a daemon that has none to do.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING, Final

from fleet_agent.errors import ConfigError, FleetError
from fleet_agent.httpd.dial import Url
from fleet_agent.services.settings import Settings
from fleet_agent.wire import TLS_CA_FILE, TLS_PAIR_FILE

if TYPE_CHECKING:
    import ssl

    from fleet_agent.certificate import Certificate
    from fleet_agent.httpd.tls import Secured

_MEND: Final = "fleet-agent deploy: phase keys places it"
_LOOPBACK: Final = ("127.", "::1")

log = logging.getLogger("fleet_agent.services")


class Tls:
    """What is read is in force for connections that begin; those that are open keep what they have.

    ``failure`` says why the certificate that lies there is not in force, ``own`` is the one that
    is: None where there is none (yet). Then the port says so to everybody, and nothing in plain.
    """

    def __init__(self, settings: Settings) -> None:
        self.on = settings.tls
        self._address = settings.address
        self._pair = os.path.join(settings.keys_dir, TLS_PAIR_FILE)
        self._authorities = os.path.join(settings.keys_dir, TLS_CA_FILE)
        self._context: ssl.SSLContext | None = None
        self._fleet: ssl.SSLContext | None = None
        self._public: ssl.SSLContext | None = None
        self.own: Certificate | None = None
        self.failure = ""
        self.reload()

    def reload(self) -> None:
        """Take key and certificate anew. What can't be used leaves those in force that were."""
        self._fleet = self._public = None
        self.failure = ""
        if not self.on:
            return
        from fleet_agent import certificate
        from fleet_agent.httpd.tls import server_context

        try:
            with open(self._pair, encoding="ascii", errors="replace") as file:
                own = certificate.read(file.read())
            self._context, self.own = server_context(self._pair), own
        except FileNotFoundError:
            self.failure = f"there is no certificate yet at {self._pair}"
        except ConfigError as error:
            self.failure = f"{self._pair} {error.what}"
        except OSError as error:
            self.failure = f"{self._pair} can't be used: {error.strerror}"
        if self.failure:
            log.error("TLS: %s (%s)", self.failure, _MEND)

    def speaks(self, listening: socket.socket) -> bool:
        """Whether TLS is spoken on a listening socket: at the listen address, and nowhere else.

        The local agent's ways stay plain: nobody else can listen to them.
        """
        if not self.on or listening.family == socket.AF_UNIX:
            return False
        bound = str(listening.getsockname()[0])
        return bound == self._address or not bound.startswith(_LOOPBACK)

    def server(self) -> Secured:
        """The end of a connection that was just accepted."""
        from fleet_agent.httpd.tls import Secured

        return Secured(self._context)

    def client(self, url: Url, ours: bool) -> Secured:
        """The end of a connection to ``url``. ``ours``: a daemon of the fleet answers there, so
        only the fleet's CA is believed; else (a proxy of the operator's) those of the system.

        Raises FleetError while the fleet's CA is not known here.
        """
        from fleet_agent.httpd.tls import Secured, client_context

        if not ours:
            self._public = self._public or client_context(None)
            return Secured(self._public, name=url.server_name)
        if self._fleet is None:
            try:
                with open(self._authorities, encoding="ascii") as file:
                    self._fleet = client_context(file.read())
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or str(error)
                raise FleetError(
                    f"the certificates of the fleet's CA can't be used: {why}",
                    where=self._authorities, mend=_MEND,
                ) from error  # fmt: skip
        return Secured(self._fleet, name=url.server_name)
