"""The lab's wires: the operator's namespace with a bridge, a namespace and a cable for each node.

All links live inside these namespaces, so two labs with different names never meet, and nothing
can leave them: the operator's side forwards no packet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .shell import call

OPERATOR_V4 = "10.77.0.1"
OPERATOR_V6 = "fd77::1"
MOST_NODES = 30
# The address of the first node ends in this number plus one.
FIRST_HOST = 10

Direction = Literal["in", "out", "both"]


def node_v4(index: int) -> str:
    """The IPv4 address of the node with this index, from 0."""
    return f"10.77.0.{FIRST_HOST + index + 1}"


def node_v6(index: int) -> str:
    """The IPv6 address (unique local) of the node with this index, from 0."""
    return f"fd77::{FIRST_HOST + index + 1}"


def _ip(*arguments: str) -> None:
    call(["ip", *arguments])


@dataclass
class Cable:
    """A node's connection to the bridge: `namespace` on its side, `port` on the operator's.

    The namespace is the network of one boot: a machine that loses its power loses its connections
    without a farewell to anybody, and comes back with new ones only.
    """

    operator: str
    namespace: str
    index: int
    pulled: bool = False

    @property
    def port(self) -> str:
        """The name of the operator's end."""
        return f"p{self.index}"

    def connect(self) -> None:
        """Make the node's namespace with its eth0, for a boot; a pulled cable stays pulled."""
        _ip("netns", "add", self.namespace)
        outside, inside = ("-n", self.operator), ("-n", self.namespace)
        mac = ("address", f"02:77:00:00:00:{self.index:02x}")
        peer = ("peer", "name", "eth0", *mac, "netns", self.namespace)
        _ip(*outside, "link", "add", self.port, "type", "veth", *peer)
        state = "down" if self.pulled else "up"
        _ip(*outside, "link", "set", self.port, "master", "br0", state)
        _ip(*inside, "link", "set", "lo", "up")
        _ip(*inside, "link", "set", "eth0", "up")
        _ip(*inside, "addr", "add", f"{node_v4(self.index)}/24", "dev", "eth0")
        _ip(*inside, "addr", "add", f"{node_v6(self.index)}/64", "dev", "eth0", "nodad")
        # What is not in the lab is sent to the operator's side and lost there, without an answer.
        _ip(*inside, "route", "add", "default", "via", OPERATOR_V4)

    def lose_power(self) -> None:
        """Take the link away, silently; the namespace waits for `release`."""
        _ip("-n", self.operator, "link", "delete", self.port)

    def release(self) -> None:
        """Remove the namespace once nothing runs in it."""
        _ip("netns", "delete", self.namespace)

    def cut(self) -> None:
        """Pull the cable: both sides keep their addresses, nothing arrives, nobody is told."""
        self.pulled = True
        self._set_port("down")

    def restore(self) -> None:
        """Put the cable back and take away every drop rule."""
        self.pulled = False
        self._set_port("up")
        if self._powered():
            self._nft("table inet lab\ndelete table inet lab\n")

    def drop(self, direction: Direction = "both", percent: int = 100) -> None:
        """Lose `percent` of the packets that come "in" to the node, go "out" of it, or "both".

        Replaces an earlier rule; gone after `restore`, and with the node's power.
        """
        share = "" if percent >= 100 else f"numgen random mod 100 < {percent} "
        chains = ""
        if direction in ("in", "both"):
            chains += (
                "chain inward { type filter hook input priority 0; "
                f'iifname "eth0" {share}drop; }}\n'
            )
        if direction in ("out", "both"):
            chains += (
                "chain outward { type filter hook output priority 0; "
                f'oifname "eth0" {share}drop; }}\n'
            )
        self._nft(f"table inet lab\ndelete table inet lab\ntable inet lab {{\n{chains}}}\n")

    def _powered(self) -> bool:
        links = call(["ip", "-n", self.operator, "-brief", "link"]).stdout
        return any(line.startswith(f"{self.port}@") for line in links.splitlines())

    def _set_port(self, state: str) -> None:
        if self._powered():
            _ip("-n", self.operator, "link", "set", self.port, state)

    def _nft(self, rules: str) -> None:
        call(["ip", "netns", "exec", self.namespace, "nft", "-f", "-"], stdin=rules)


class Network:
    """The operator's namespace of one lab and the cables that hang on its bridge."""

    def __init__(self, lab: str) -> None:
        self.lab = lab
        self.operator = f"{lab}-op"

    def up(self) -> None:
        """Make the operator's namespace with its bridge and addresses."""
        _ip("netns", "add", self.operator)
        inside = ("-n", self.operator)
        _ip(*inside, "link", "set", "lo", "up")
        _ip(*inside, "link", "add", "br0", "type", "bridge", "forward_delay", "0")
        _ip(*inside, "link", "set", "br0", "up")
        _ip(*inside, "addr", "add", f"{OPERATOR_V4}/24", "dev", "br0")
        _ip(*inside, "addr", "add", f"{OPERATOR_V6}/64", "dev", "br0", "nodad")

    def cable(self, node: str, index: int) -> Cable:
        """The cable of the node with this index, not connected yet."""
        return Cable(self.operator, f"{self.lab}-{node}", index)
