"""What fleet-deploy answers about the fleet's CA: shows certificates, and begins its rotation.

Certificates are everybody's to see; no key leaves by this door.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fleet_agent import certificate
from fleet_agent.deploy import protocol
from fleet_agent.deploy.authority import Authority, facts
from fleet_agent.deploy.protocol import Line
from fleet_agent.deploy.rotation import Rotation
from fleet_agent.errors import RequestError
from fleet_agent.services.deploy_rights import Caller
from fleet_agent.services.deploy_words import AskedBy

_log = logging.getLogger("fleet_agent.deploy")


@dataclass(frozen=True, slots=True)
class TlsWords:
    """The words. ``place`` queues a deploy of what the fleet runs, which places what changed."""

    authority: Authority
    place: Callable[[Caller], Mapping[str, Any] | None]

    def answers(self) -> Mapping[str, AskedBy]:
        """Each word with what answers it."""
        return {protocol.TLS: self.show, protocol.TLS_ROTATE: self.rotate}

    def show(self, caller: Caller, line: Line) -> Mapping[str, Any]:
        """The CAs to believe, the wizards' certificates, and where a rotation stands."""
        if not self.authority.exists:
            return {"rotation": None, "authorities": [], "certificates": []}
        authorities = [
            {"number": number, **certificate.read(pem)._asdict(), "pem": pem}
            for number, pem in self.authority.authorities()
        ]
        certificates = []
        for name in self.authority.wizards():
            found = self.authority.credentials(name)
            if found is not None:
                told = {"wizard": name, "ca": found.ca, "names": list(found.names)}
                certificates.append({**told, **facts(found)._asdict()})
        return {
            "rotation": _told(self.authority.rotation()),
            "authorities": authorities,
            "certificates": certificates,
        }

    def rotate(self, caller: Caller, line: Line) -> Mapping[str, Any]:
        """Begin to go over to another CA, or with ``go_on`` take the next step, by a deploy."""
        if line.get("go_on") is True:
            if not self.authority.exists:
                raise RequestError("there is no CA to rotate", status=409, where="tls")
            rotation = self.authority.rotation()
        else:
            rotation = self.authority.rotate(time.time(), caller.name)
            _log.info("fleet-deploy: %s began CA %d", caller.name, rotation.current)
        return {"rotation": _told(rotation), "deploy": self.place(caller)}


def _told(rotation: Rotation) -> dict[str, Any]:
    return {**asdict(rotation), "signs": rotation.signs, "over": rotation.is_over}
