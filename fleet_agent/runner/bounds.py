"""What one job may take: time, output, memory, processes; and how many jobs there may be."""

from __future__ import annotations

from typing import NamedTuple

from fleet_agent.limits import Limits

_MIB = 1024 * 1024


class Bounds(NamedTuple):
    """The limits that hold for jobs, read once from ``Limits``."""

    seconds: float
    output_bytes: int
    error_bytes: int
    memory_bytes: int
    pids: int
    jobs: int
    given_bytes: int

    @classmethod
    def of(cls, limits: Limits) -> Bounds:
        """The bounds that ``limits`` sets."""
        return cls(
            limits["handler_seconds"],
            limits.whole("handler_output_bytes"),
            limits.whole("handler_error_bytes"),
            limits.whole("handler_memory_mib") * _MIB,
            limits.whole("handler_pids"),
            limits.whole("handler_jobs") + 1,  # one for an alert
            # A message came through the gateway, so it is no larger than this.
            limits.whole("http_body_bytes"),
        )
