"""The last test of a session: whatever was done to the nodes, no unit of theirs is failed."""

from __future__ import annotations

from .fleet import Fleet
from .node import Node

LIST = ["systemctl", "list-units", "--failed", "--all", "--plain", "--no-legend", "--no-pager"]


def failed(node: Node) -> dict[str, str]:
    """Unit → its last words, of every unit that systemd calls failed, ours or not."""
    lines = node.inside(LIST).stdout.splitlines()
    return {unit: node.journal(unit, 20) for unit, *_ in (line.split() for line in lines if line)}


def test_no_unit_of_any_node_is_failed_at_the_end(founded: Fleet) -> None:
    found = {node.name: failed(node) for node in founded.lab.nodes if node.up}
    assert len(found) == len(founded.lab.nodes), "a node is off"
    assert not any(found.values()), found
