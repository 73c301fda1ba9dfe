"""No loss on real machines, in short: every kind of fault, a disk that ends.

`make lab-bus` is the long form of the first test. A disk that fails is in ``test_failing_disk``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from . import content
from .bus.ground import Ground, founded
from .bus.run import Proof, prove
from .bus.schedule import USUAL, Fault, Kind, plan
from .fixtures import fleets
from .lab import NAME

ARTIFACTS = Path(__file__).parents[2] / "artifacts" / "lab-bus"
SEED = 11
MESSAGES = 4_000
FEW = 1_500
ALL = ("n1", "n2", "n3")


@pytest.fixture(scope="module")
def standing() -> Iterator[Ground]:
    """A fleet of its own: what is done to its disks is none of the other tests' business."""
    with founded(f"{NAME[:6]}p") as made:
        fleets.append(made.fleet)
        yield made
        fleets.remove(made.fleet)


@pytest.fixture
def ground(standing: Ground) -> Ground:
    """The fleet with power, cables and disks as they should be, whatever a test before has left."""
    for node in standing.fleet.lab.nodes:
        node.cable.restore()
        standing.disks[node.name].relieve()
        if not node.up:
            node.boot()
    return standing


def proved(ground: Ground, faults: Sequence[Fault], name: str, messages: int = FEW) -> Proof:
    return prove(ground, faults, name=name, messages=messages, seed=SEED, artifacts=ARTIFACTS)


def test_faults_of_every_kind_lose_nothing_repeat_nothing_and_keep_order(ground: Ground) -> None:
    proof = proved(ground, plan(SEED, ALL), "proof", MESSAGES)
    assert proof.well, proof.line()
    assert proof.verdict.faults == dict.fromkeys(map(str, USUAL), 1)
    assert proof.verdict.sent >= MESSAGES
    assert proof.verdict.handled + proof.verdict.dead >= MESSAGES
    # What bootstrap made outlived the power cuts as well: keys, mirror, code.
    record = ground.fleet.push({"README.md": b"After the faults.\n"})
    assert record.state == "verified", record.reason


def test_a_disk_without_a_free_byte_refuses_and_loses_nothing(ground: Ground) -> None:
    # A new start leaves the log of the database short: it has to grow into the full disk. Killed in
    # the middle of that the daemon has to start there, for longer than it takes systemd to give a
    # unit up that ends at every start.
    again = Fault(Kind.KILL, ("n3",), 0.0, 2.5)
    full = Fault(Kind.FULL, ("n3",), 24.0, 0.5, beside=("n3",))
    proof = proved(ground, [again, full], "full")
    assert proof.well, proof.line()
    assert proof.verdict.refused.get("507"), proof.line()
    assert proof.verdict.sent >= FEW
    said = ground.fleet.lab["n3"].journal(content.daemon_of("allegro"), 1000)
    assert "waiting for room" in said, said
