"""A real CA with real certificates, made by the openssl command as a deploy makes them."""

from __future__ import annotations

import functools
import ssl
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from fleet_agent.deploy.authority import Authority, Days
from fleet_agent.httpd.tls import client_context, server_context

DAY = 86400


class Issued(NamedTuple):
    """A CA and one server: PEM texts, and the file that holds the server's pair."""

    authorities: str
    pair: str
    file: str

    @property
    def server(self) -> ssl.SSLContext:
        """What the server offers."""
        return server_context(self.file)

    @property
    def client(self) -> ssl.SSLContext:
        """What believes this CA and nobody else."""
        return client_context(self.authorities)


@functools.cache
def issued(
    *names: str, of: str = "one", age_days: float = 0, days: float = 365, wizard: str = "ezra"
) -> Issued:
    """A certificate for ``names`` by the CA called ``of``, made ``age_days`` ago."""
    authority = Authority(str(_folder(of)))
    now = time.time()
    lasting = Days(authority=10_000, certificate=days, renew=0)
    names = names or ("127.0.0.1", "localhost")
    started = now if age_days == 0 else now - age_days * DAY
    authority.prepare("timmy", {wizard: names}, lasting, now=started)
    found = authority.credentials(wizard)
    assert found is not None
    pair = found.key + found.certificate
    file = Path(tempfile.mkdtemp(prefix="fa-", dir=_folder(of))) / "tls.pem"
    file.write_text(pair)
    return Issued(authority.bundle(), pair, str(file))


@functools.cache
def _folder(of: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"fleet-agent-ca-{of}-"))
