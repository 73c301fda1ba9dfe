"""Errors of a node's phases: what, where and mend, with a unit's last words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleet_agent.errors import FleetError, NodeError


class SpecError(FleetError):
    """A spec that this code does not understand: the two sides are not of one version."""

    title = "the spec was not understood"


class Refused(NodeError):  # noqa: N818 (it reads as what happened)
    """Another deploy has the node, or had it later. ``seen`` is its number."""

    title = "another deploy has this node"

    def __init__(self, what: str, *, where: str = "", mend: str = "", seen: int = 0) -> None:
        super().__init__(what, where=where, mend=mend)
        self.seen = seen


class UnitError(NodeError):
    """A unit did not come up or did not stay up. ``log`` are its last journal lines."""

    title = "a unit is not as it must be"

    def __init__(
        self,
        what: str,
        *,
        where: str,
        mend: str = "",
        log: tuple[str, ...] = (),
        health: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(what, where=where, mend=mend)
        self.log = log
        self.health = health


def as_dict(error: FleetError) -> dict[str, Any]:
    """The error as it stands in a phase's result."""
    told: dict[str, Any] = {"what": error.what, "where": error.where, "mend": error.mend}
    if isinstance(error, UnitError):
        told["unit_log"] = list(error.log)
        told["health"] = dict(error.health) if error.health is not None else None
    if isinstance(error, Refused):
        told["seen"] = error.seen
    return told
