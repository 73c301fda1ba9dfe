"""Makes the faults of a plan on real nodes, and mends them.

Everything is done from outside of the node or past its network: a fault must not stand in the way
of its own mending.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from .. import content
from ..node import Node
from ..shell import LabError
from .agents import CONSUMER, HOME, SENDER
from .ground import Ground
from .history import Event, What
from .schedule import Fault, Kind

THIRD = 33
CLOCK_FILE = f"{HOME}/clock"
# A jump is seen by the daemon within this.
CLOCK_CACHE_S = 1
CLOCK_DROP_IN = """\
[Service]
Environment=LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={file} FAKETIME_CACHE_DURATION={cache}
Environment=FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_RESET=1
"""


class Faults:
    """`note` takes an event of each begin and end."""

    def __init__(self, ground: Ground, note: Callable[[Event], None]) -> None:
        self._ground = ground
        self._note = note
        self._wizards = {node.name: name for name, node in ground.fleet.nodes.items()}

    def strike(self, fault: Fault) -> None:
        """Make a fault, let it last, mend it, rest."""
        make, mend = {
            Kind.KILL: (self._kill, _nothing),
            Kind.RESTART: (self._restart, _nothing),
            Kind.AGENT: (self._kill_agent, _nothing),
            Kind.CUT: (lambda node: node.cable.cut(), _restore),
            Kind.DEAF: (lambda node: node.cable.drop("in"), _restore),
            Kind.MUTE: (lambda node: node.cable.drop("out"), _restore),
            Kind.DROP: (lambda node: node.cable.drop("both", THIRD), _restore),
            Kind.POWER: (self._cut_power, self._boot),
            Kind.FULL: (lambda node: self._ground.disks[node.name].fill(), self._relieve),
            Kind.FSYNC: (
                lambda node: self._ground.disks[node.name].starve(),
                self._cycle_power,
            ),
            Kind.CLOCK: (lambda node: self._shift(node, fault.shift), self._right),
        }[fault.kind]
        nodes = [self._ground.fleet.lab[name] for name in fault.nodes]
        self._say(fault, "begin")
        try:
            for node in nodes:
                make(node)
            time.sleep(fault.seconds / 2)
            for name in fault.beside:
                self._kill(self._ground.fleet.lab[name])
            time.sleep(fault.seconds / 2)
        finally:
            for node in nodes:
                mend(node)
            self._say(fault, "end")
        time.sleep(fault.rest)

    def _say(self, fault: Fault, phase: str) -> None:
        self._note({
            "what": str(What.FAULT), "t": round(time.time(), 6), "at": "", "kind": str(fault.kind),
            "nodes": list(fault.nodes), "beside": list(fault.beside), "shift": fault.shift,
            "phase": phase,
        })  # fmt: skip

    def _daemon(self, node: Node) -> str:
        return content.daemon_of(self._wizards[node.name])

    def _kill(self, node: Node) -> None:
        kill(node, self._daemon(node))

    def _restart(self, node: Node) -> None:
        """A start that fails is tried again by systemd; its words are kept for whoever looks."""
        unit = self._daemon(node)
        done = node.inside(["systemctl", "restart", unit], check=False)
        if done.returncode:
            words = node.journal(unit, 30)
            print(f"{node.name}: {done.stderr}{words}", file=sys.stderr, flush=True)

    def _kill_agent(self, node: Node) -> None:
        for unit in (SENDER, CONSUMER):
            kill(node, unit)

    def _cut_power(self, node: Node) -> None:
        node.sigkill()
        self._ground.disks[node.name].lose_power()

    def _cycle_power(self, node: Node) -> None:
        node.sigkill()
        self._ground.disks[node.name].mend()
        node.boot()

    @staticmethod
    def _boot(node: Node) -> None:
        if not node.up:
            node.boot()

    def _relieve(self, node: Node) -> None:
        self._ground.disks[node.name].relieve()

    def _drop_in(self, node: Node) -> Path:
        return node.root / f"etc/systemd/system/{self._daemon(node)}.d/clock.conf"

    def _shift(self, node: Node, seconds: int) -> None:
        """Let the daemon start with a right clock that jumps while it runs."""
        library = next(node.root.glob("usr/lib/*/faketime/libfaketime.so.1"))
        text = CLOCK_DROP_IN.format(
            library=f"/{library.relative_to(node.root)}", file=CLOCK_FILE, cache=CLOCK_CACHE_S
        )
        clock = _clock(node)
        clock.write_text("+0\n")
        drop_in = self._drop_in(node)
        drop_in.parent.mkdir(exist_ok=True)
        drop_in.write_text(text)
        node.inside(["systemctl", "daemon-reload"])
        self._restart(node)
        _set(clock, seconds)

    def _right(self, node: Node) -> None:
        """Let the clock jump back, then take the means away."""
        _set(_clock(node), 0)
        time.sleep(CLOCK_CACHE_S + 0.5)
        self._drop_in(node).unlink()
        node.inside(["systemctl", "daemon-reload"])
        self._restart(node)


def kill(node: Node, unit: str) -> None:
    """SIGKILL to all of a unit; that none of it runs just now is as good."""
    try:
        node.inside(["systemctl", "kill", "--signal=KILL", unit])
    except LabError as error:
        if "No such process" not in str(error) and "not loaded" not in str(error):
            raise


def _nothing(_: Node) -> None:
    """Such a fault mends itself."""


def _restore(node: Node) -> None:
    node.cable.restore()


def _clock(node: Node) -> Path:
    return node.root / CLOCK_FILE.removeprefix("/")


def _set(clock: Path, seconds: int) -> None:
    """At once, so that no daemon reads half of it."""
    new = clock.with_name("clock.new")
    new.write_text(f"{seconds:+d}\n")
    new.replace(clock)
