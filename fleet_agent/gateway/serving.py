"""What the gateway's handlers know of the wizard they serve and of its fleet.

Replaced in place by a reload; the handlers ask anew for each request. Not for limits or boxes.
"""

from __future__ import annotations

from fleet_agent.bus.keyring import NO_KEYS, Keyring
from fleet_agent.registry.schema import NotFound, Registry


class Serving:
    """The wizard, its registry, its keys, and whether strangers are believed.

    ``registry_json`` is the registry's public part as it is served; ``reload_failure`` says why
    the last reload was not taken, empty when it was. ``window_seconds`` is how far the time of a
    signature may be from ours.
    """

    __slots__ = (
        "fleet", "keyring", "registry", "registry_json", "reload_failure", "unsigned",
        "window_seconds", "wizard",
    )  # fmt: skip

    def __init__(
        self,
        wizard: str,
        fleet: str,
        registry: Registry,
        registry_json: bytes,
        *,
        unsigned: bool,
        keyring: Keyring = NO_KEYS,
        window_seconds: float = 300.0,
    ) -> None:
        self.wizard = wizard
        self.fleet = fleet
        self.registry = registry
        self.registry_json = registry_json
        self.unsigned = unsigned
        self.keyring = keyring
        self.window_seconds = window_seconds
        self.reload_failure = ""

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What this wizard can do, as the registry says; nothing where it is not in it."""
        try:
            return self.registry.wizard(self.wizard).capabilities
        except NotFound:
            return ()
