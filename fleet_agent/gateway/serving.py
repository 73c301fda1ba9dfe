"""What the gateway's handlers know of the wizard they serve and of its fleet.

Replaced in place by a reload; the handlers ask anew for each request. Not for limits or boxes.
"""

from __future__ import annotations

from fleet_agent.registry.schema import NotFound, Registry


class Serving:
    """The wizard, its registry, and whether strangers are believed (``unsigned: allow``).

    ``registry_json`` is the registry's public part as it is served; ``reload_failure`` says why
    the last reload was not taken, empty when it was.
    """

    __slots__ = ("fleet", "registry", "registry_json", "reload_failure", "unsigned", "wizard")

    def __init__(
        self, wizard: str, fleet: str, registry: Registry, registry_json: bytes, *, unsigned: bool
    ) -> None:
        self.wizard = wizard
        self.fleet = fleet
        self.registry = registry
        self.registry_json = registry_json
        self.unsigned = unsigned
        self.reload_failure = ""

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What this wizard can do, as the registry says; nothing where it is not in it."""
        try:
            return self.registry.wizard(self.wizard).capabilities
        except NotFound:
            return ()
