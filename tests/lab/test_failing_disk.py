"""A daemon whose disk fails stops rather than lies. `make lab-failing-disk`, not in `make lab`.

The failing disk leaves now and then a damaged database behind, which a real one may do as well: who
did it, the kernel, e2fsck or we, is open.
"""

from __future__ import annotations

from . import content
from .bus.ground import Ground
from .bus.schedule import Fault, Kind
from .test_bus import FEW, ground, proved, standing

__all__ = ["ground", "standing"]  # fixtures


def test_a_daemon_whose_fsync_fails_stops_rather_than_lies(ground: Ground) -> None:
    proof = proved(ground, [Fault(Kind.FSYNC, ("n2",), 5.0, 0.5)], "fsync")
    assert proof.well, proof.line()
    said = ground.fleet.lab["n2"].journal(content.daemon_of("bezalel"), 1000)
    assert proof.verdict.sent >= FEW
    assert "disk I/O error" in said, said
