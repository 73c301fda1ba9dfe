"""How a forge labels and signs its webhooks: names of headers, as a value a forge."""

from __future__ import annotations

from dataclasses import dataclass

from fleet_agent.wire import Forge


@dataclass(frozen=True, slots=True)
class Scheme:
    """The headers of one forge. The signature is bare hex HMAC-SHA256 of the raw body.

    ``twins``: a pushed tag comes as ``push`` and as ``create``; where not, ``create`` is the push.
    """

    forge: Forge
    prefix: str
    twins: bool

    @property
    def event_header(self) -> str:
        """The header that names the event; what a forge is known by."""
        return f"X-{self.prefix}-Event"

    @property
    def delivery_header(self) -> str:
        """The header with the delivery's id."""
        return f"X-{self.prefix}-Delivery"

    @property
    def signature_header(self) -> str:
        """The header with the signature."""
        return f"X-{self.prefix}-Signature"
