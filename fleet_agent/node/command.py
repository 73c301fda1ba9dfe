"""The commands that run this code on a node, as argument lists. Pure.

Phases run as transient services: they end with their time limit, not with a connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fleet_agent.node import layout as layouts
from fleet_agent.node import loader
from fleet_agent.node.layout import Layout
from fleet_agent.node.lock import PHASE_UNIT
from fleet_agent.node.spec import BACK, FORWARD

_FLAGS: Final = ("-I", "-S")


def phase(
    sha256: str,
    nonce: str,
    name: str,
    layout: Mapping[str, Any],
    limits: Mapping[str, float],
    *,
    mode: str = FORWARD,
) -> list[str]:
    """Run phase ``name`` with the installed code; spec (and pack) go to its standard input.

    Exit code 2 with "can't open file" on standard error says that the code is not there yet.
    """
    place = layouts.from_json(layout)
    return [
        *_as_service(place, nonce, name, limits, mode),
        place.python, *_FLAGS, place.pyz(sha256), str(name),
    ]  # fmt: skip


def load_and_run(
    nonce: str,
    name: str,
    layout: Mapping[str, Any],
    limits: Mapping[str, float],
    *,
    mode: str = FORWARD,
) -> list[str]:
    """Run phase ``name`` with code that goes in first; see ``loader_header``."""
    place = layouts.from_json(layout)
    return [
        *_as_service(place, nonce, name, limits, mode),
        place.python, *_FLAGS, "-c", loader.loader_source(), str(name),
    ]  # fmt: skip


def loader_header(pyz: bytes, sha256: str, *, install: bool) -> bytes:
    """What goes to standard input before the spec when the code is brought along."""
    return loader.header(pyz, sha256, install=install)


def confirm(sha256: str, layout: Mapping[str, Any]) -> list[str]:
    """Confirm a run; the spec (without manifest) goes to standard input."""
    return _plain(sha256, layout, "confirm")


def show(layout: Mapping[str, Any]) -> list[str]:
    """Print what the node says of its deploys, as one JSON line."""
    place = layouts.from_json(layout)
    return [place.python, *_FLAGS, f"{place.code}/node.pyz", "show", *_root(place)]


def _plain(sha256: str, layout: Mapping[str, Any], verb: str) -> list[str]:
    place = layouts.from_json(layout)
    return [place.python, *_FLAGS, place.pyz(sha256), verb]


def _root(place: Layout) -> list[str]:
    return [] if place.root == "/" else ["--root", place.root]


def _as_service(
    place: Layout, nonce: str, name: str, limits: Mapping[str, float], mode: str
) -> list[str]:
    if not place.systemd_run:
        return []
    seconds = limits["deploy_phase_seconds"]
    way = "back-" if mode == BACK else ""
    return [
        *place.systemd_run,
        "--quiet",
        "--pipe",
        "--wait",
        "--collect",
        "--service-type=exec",
        f"--unit={PHASE_UNIT}{way}{nonce}-{name}",
        f"--property=RuntimeMaxSec={seconds:g}",
        "--",
    ]
