"""What a webhook says, as values: a push of the deploy's tag, something to skip, or a refusal.

Pure, and the same for every forge. Not for reading payloads (``payload``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fleet_agent.wire import Forge


@dataclass(frozen=True, slots=True)
class Repository:
    """Which repository an event is about: ``owner/name`` and its URLs, as the forge says them."""

    full_name: str
    default_branch: str = ""
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """Which delivery it is. ``id`` is what the forge calls it; forges repeat ids."""

    forge: Forge
    event: str
    id: str


@dataclass(frozen=True, slots=True)
class TagPush:
    """The deploy's tag was pushed. ``hint`` is where it points, as the forge says: only a hint.

    ``twin``: this forge tells a push in two events, and this is the second kind (``create``).
    """

    delivery: Delivery
    tag: str
    hint: str
    pusher: str
    repository: Repository
    twin: bool

    @property
    def ref(self) -> str:
        """The full name of the pushed reference."""
        return f"refs/tags/{self.tag}"


@dataclass(frozen=True, slots=True)
class Ignored:
    """A genuine delivery that deploys nothing, and why. ``works``: it tested the hook."""

    delivery: Delivery
    reason: str
    ref: str = ""
    pusher: str = ""
    repository: str = ""
    works: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is not believed or not understood: HTTP status, what, and how to mend it.

    ``delivery`` is what it claims to be, where it claims anything; it proves nothing.
    """

    status: int
    what: str
    mend: str = ""
    delivery: Delivery | None = None


Verdict = TagPush | Ignored | Refusal

Payload = Mapping[str, object]
