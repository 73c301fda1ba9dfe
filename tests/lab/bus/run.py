"""One run of the proof: traffic, faults beside it, mending, draining, the history, the verdict."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import content
from .agents import Agents, Order
from .checker import Verdict, check
from .faults import Faults
from .ground import Ground
from .history import Event, write
from .schedule import Fault, lasting

# Making and mending a fault takes this long, about: booting is the longest.
WORK_S = 1.2
SENT_LIMIT_S = 180.0
DRAIN_LIMIT_S = 90.0
# Lines of a daemon's journal that are kept.
WORDS = 20_000


@dataclass(frozen=True)
class Proof:
    """A run that has ended. `finished`: everything was sent, and nothing waits any more."""

    name: str
    seed: int
    seconds: float
    finished: bool
    verdict: Verdict

    @property
    def well(self) -> bool:
        """Whether the bus kept its promises, and came to rest."""
        return self.finished and self.verdict.well

    def line(self) -> str:
        """The one JSON line that a run ends with."""
        seconds = round(self.seconds, 1)
        more = {"finished": self.finished, "seed": self.seed, "seconds": seconds}
        return json.dumps({**self.verdict.to_json(), **more})


def prove(
    ground: Ground, faults: Sequence[Fault], *, name: str, messages: int, seed: int, artifacts: Path
) -> Proof:
    """Send, strike, mend, drain; write the history below `artifacts`; judge it."""
    began = time.monotonic()
    made: list[Event] = []
    seconds = max(1.0, lasting(faults) + len(faults) * WORK_S)
    agents = Agents(ground.fleet, Order(name, messages, seconds, seed))
    agents.place()
    agents.start()
    try:
        striking = Faults(ground, made.append)
        for number, fault in enumerate(faults):
            _say(f"{name}: {number + 1}/{len(faults)} {_words(fault)}")
            striking.strike(fault)
        _say(f"{name}: all is mended; waiting for the rest to be sent and handled")
        finished = agents.wait_sent(SENT_LIMIT_S) and agents.wait_drained(DRAIN_LIMIT_S)
    finally:
        agents.stop()
        _keep_words(ground, artifacts, name)
    history = [*made, *agents.history()]
    write(artifacts / f"{name}.jsonl", history)
    proof = Proof(name, seed, time.monotonic() - began, finished, check(history))
    (artifacts / f"{name}.verdict.json").write_text(proof.line() + "\n")
    return proof


def _keep_words(ground: Ground, artifacts: Path, name: str) -> None:
    """What the daemons said, beside the history."""
    artifacts.mkdir(parents=True, exist_ok=True)
    for wizard, node in ground.fleet.nodes.items():
        if node.up:
            said = node.journal(content.daemon_of(wizard), WORDS)
            (artifacts / f"{name}.{wizard}.log").write_text(said)


def _words(fault: Fault) -> str:
    more = f" by {fault.shift:+d} s" if fault.shift else ""
    beside = f", killing {', '.join(fault.beside)}" if fault.beside else ""
    return f"{fault.kind} {', '.join(fault.nodes)}{more} for {fault.seconds:g} s{beside}"


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
