"""What is really on a node: looked at from inside, without ssh and without the product's help."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from .node import Node

SCRIPT = Path(__file__).with_name("look_script.py")


class Unit(NamedTuple):
    """A unit as systemd shows it; `pid` is 0 where no main process runs."""

    load: str
    active: str
    pid: int
    invocation: str
    restarts: int
    enabled: str
    stale: bool


ABSENT = Unit("not-found", "inactive", 0, "", 0, "", False)


@dataclass(frozen=True)
class Look:
    """A node at one moment. `files` holds mode, owner, group, sha256 by place, None where none."""

    node: str
    release: str | None
    releases: tuple[str, ...]
    verified: Any
    saved: tuple[str, ...]
    journal: Mapping[str, Any] | None
    units: Mapping[str, Unit]
    unit_files: tuple[str, ...]
    files: Mapping[str, Mapping[str, str] | None]
    accounts: tuple[str, ...]
    leftovers: tuple[str, ...]

    def unit(self, name: str) -> Unit:
        """A unit, also one that systemd doesn't know."""
        return self.units.get(name, ABSENT)

    def pids(self, *names: str) -> dict[str, int]:
        """The main processes of these units, of all running ones when none is named."""
        chosen = names or tuple(name for name, unit in self.units.items() if unit.pid)
        return {name: self.unit(name).pid for name in chosen}

    def invocations(self, *names: str) -> dict[str, str]:
        """Which start of these units is the one that runs."""
        return {name: self.unit(name).invocation for name in names}

    @property
    def state(self) -> str | None:
        """The journal's state."""
        return None if self.journal is None else str(self.journal["state"])


def look(node: Node, places: Iterable[str] = ()) -> Look:
    """Look at a node that is up; `places` are paths whose content and rights shall be told."""
    argv = ["/usr/bin/python3", "-I", "-S", "-c", SCRIPT.read_text(), *places]
    told = json.loads(node.inside(argv).stdout)
    told["units"] = {name: _unit(shown) for name, shown in told["units"].items()}
    lists = ("releases", "saved", "unit_files", "accounts", "leftovers")
    return Look(node=node.name, **told | {name: tuple(told[name]) for name in lists})


def _unit(shown: Mapping[str, str]) -> Unit:
    return Unit(
        load=shown["LoadState"],
        active=shown["ActiveState"],
        pid=int(shown.get("MainPID") or 0),
        invocation=shown.get("InvocationID", ""),
        restarts=int(shown.get("NRestarts") or 0),
        enabled=shown.get("UnitFileState", ""),
        stale=shown.get("NeedDaemonReload") == "yes",
    )
