"""The agents of a run on their nodes: placed, started, waited for, and what they recorded.

They run as units under the wizard's own user and come back after a power cut. Their records lie
beside the disk that loses its power; the handler's journal lies on it, for that is its effect.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..fleet import Fleet
from ..node import Node
from ..shell import LabError, wait_until
from .history import Event, What, read

HOME = "/srv/labbus"
STATE = "/var/lib/labbus"
SENDER = "labbus-sender.service"
CONSUMER = "labbus-consumer.service"
SCRIPTS = Path(__file__).parent / "onnode"
BOXES = ("outbox", "inbox")
# How long a lease lasts: what a killed handler held comes again after it.
LEASE_S = 4
# Every tenth message is an alert, and one in thirty lives two seconds only.
ALERTS = 0.1
MORTAL = 1 / 30
UNIT = """\
[Unit]
Description=An agent of the proof of no loss: {script}
StartLimitIntervalSec=0
[Service]
User={user}
ExecStart=/usr/bin/python3 -B {home}/{script} {home}/spec.json
Restart=on-failure
RestartSec=200ms
[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Order:
    """What a run sends: `messages` in all, from all to all others, over `seconds`."""

    run: str
    messages: int
    seconds: float
    seed: int


class Agents:
    """The senders and handlers of one run."""

    def __init__(self, fleet: Fleet, order: Order) -> None:
        self._fleet = fleet
        self._order = order

    def place(self) -> None:
        """Put scripts, units and what each has to do onto the nodes, nothing of an earlier run."""
        for wizard, node in self._fleet.nodes.items():
            record, state = f"{HOME}/record", f"{STATE}/{self._order.run}"
            node.inside(["rm", "-rf", HOME])
            owner = ["install", "-d", "-o", wizard, "-g", wizard]
            node.inside([*owner, HOME, record, STATE, state])
            home = _seen(node, HOME)
            for script in SCRIPTS.glob("*.py"):
                (home / script.name).write_bytes(script.read_bytes())
            (home / "spec.json").write_text(json.dumps(self._spec(wizard), indent=1))
            for unit, name in ((SENDER, "sender.py"), (CONSUMER, "consumer.py")):
                text = UNIT.format(script=name, user=wizard, home=HOME)
                (node.root / "etc/systemd/system" / unit).write_text(text)
            node.inside(["systemctl", "daemon-reload"])

    def _spec(self, wizard: str) -> dict[str, Any]:
        others = [name for name in self._fleet.nodes if name != wizard]
        each = -(-self._order.messages // (len(others) * len(self._fleet.nodes)))
        alerts = max(1, round(each * ALERTS))
        streams = [[to, lane, count] for to in others
                   for lane, count in ((0, each - alerts), (1, alerts))]  # fmt: skip
        count = each * len(others)
        return {
            "wizard": wizard, "run": self._order.run, "seed": self._order.seed,
            "socket": f"/run/fleet-agent/{wizard}/agent.sock",
            "sends": f"{HOME}/record/sends.jsonl", "gets": f"{HOME}/record/gets.jsonl",
            "journal": f"{STATE}/{self._order.run}/journal.jsonl", "streams": streams,
            "count": count, "rate": count / self._order.seconds, "began": time.time(),
            "mortal": MORTAL, "lease": LEASE_S,
        }  # fmt: skip

    def start(self) -> None:
        """Start handlers, then senders, on all nodes."""
        for unit in (CONSUMER, SENDER):
            for node in self._fleet.nodes.values():
                node.inside(["systemctl", "enable", "--quiet", "--now", unit])

    def wait_sent(self, seconds: float) -> bool:
        """Wait until every sender has a 202 for each of its messages; whether it came to that."""
        nodes = self._fleet.nodes.values()
        return _waited(lambda: all(_over(node, SENDER) for node in nodes), seconds)

    def wait_drained(self, seconds: float) -> bool:
        """Wait until nothing waits in any box any more; whether it came to that."""
        return _waited(lambda: all(map(self._empty, self._fleet.nodes)), seconds)

    def stop(self) -> None:
        """End the agents."""
        for node in self._fleet.nodes.values():
            for unit in (SENDER, CONSUMER):
                node.inside(["systemctl", "disable", "--quiet", "--now", unit], check=False)

    def history(self) -> Iterator[Event]:
        """All that was recorded, each node's in order."""
        for wizard, node in self._fleet.nodes.items():
            home = _seen(node, f"{HOME}/record")
            yield from read(home / "sends.jsonl")
            yield from read(home / "gets.jsonl")
            for event in read(_seen(node, f"{STATE}/{self._order.run}/journal.jsonl")):
                if event["what"] == What.HANDLED:
                    yield event | {"at": wizard}
            yield from self._dead(wizard, node)

    def _dead(self, wizard: str, node: Node) -> Iterator[Event]:
        """The dead-letter boxes as the wizard's own agent sees them, page by page."""
        for box in BOXES:
            after = 0
            while True:
                target = f"/dead-letters?box={box}&after={after}"
                try:
                    found = _ask(node, wizard, target)["dead_letters"]
                except LabError:
                    return  # a box that nobody can look into holds nothing
                for one in found:
                    if str(one["id"]).startswith(f"{self._order.run}:"):
                        yield {"what": str(What.DEAD), "t": time.time(), "at": wizard,
                               "id": one["id"], "box": box, "reason": one["reason"]}  # fmt: skip
                if not found:
                    break
                after = found[-1]["number"]

    def _empty(self, wizard: str) -> bool:
        try:
            checks = _ask(self._fleet.nodes[wizard], wizard, "/health")["checks"]
        except LabError:
            return False  # it is just starting, or does not
        return all(checks[name][0]["observedValue"] == 0 for name in ("bus:outbox", "bus:depth"))


def _ask(node: Node, wizard: str, target: str) -> dict[str, Any]:
    sock = f"/run/fleet-agent/{wizard}/agent.sock"
    argv = ["curl", "-sS", "--max-time", "20", "--unix-socket", sock, f"http://agent{target}"]
    found: dict[str, Any] = json.loads(node.inside(argv).stdout)
    return found


def _waited(ready: Callable[[], bool], seconds: float) -> bool:
    try:
        wait_until(ready, timeout_s=seconds, what="the end", every_s=0.2)
    except LabError:
        return False
    return True


def _over(node: Node, unit: str) -> bool:
    said = node.inside(["systemctl", "show", "-P", "ActiveState", unit]).stdout.strip()
    return said == "inactive"


def _seen(node: Node, path: str) -> Path:
    """A path of the node as this machine sees it."""
    return node.root / path.removeprefix("/")
