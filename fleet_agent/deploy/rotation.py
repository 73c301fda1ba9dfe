"""How the fleet goes over from one CA to the next, so that no connection is ever refused. Pure.

First every node believes both, then every node gets a certificate of the new one, then the old one
is believed no more: a verified deploy each.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rotation:
    """Which CA is the newest; the newest that every node is known to believe; and the newest of
    which every node is known to have its certificate."""

    current: int = 1
    trusted: int = 0
    issued: int = 0
    rotated_at: float | None = None
    rotated_by: str = ""

    @property
    def valid(self) -> tuple[int, ...]:
        """Those to believe, the newest first: two while not every certificate is the new one's."""
        return (self.current,) if self.issued in (0, self.current) else (self.current, self.issued)

    @property
    def signs(self) -> int:
        """The one that makes certificates: never one that some node does not believe yet."""
        return max(1, min(self.trusted, self.current))

    @property
    def is_over(self) -> bool:
        """Whether nothing of a rotation is under way."""
        return self.issued == self.current
