"""The spec: the one JSON line that tells a phase what to do. Parsed strictly, pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from fleet_agent.errors import ConfigError
from fleet_agent.limits import Limits
from fleet_agent.node import layout as layouts
from fleet_agent.node.errors import SpecError
from fleet_agent.node.layout import Layout
from fleet_agent.release import manifest as manifests
from fleet_agent.release.manifest import Manifest, ManifestError

VERSION: Final = 1
FORWARD: Final = "forward"
BACK: Final = "back"
MOST_BYTES: Final = 16 * 1024 * 1024

_NONCE: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)
_KEYS: Final = frozenset(
    ("v", "fleet", "deploy", "nonce", "mode", "check", "node", "commit", "manifest", "now",
     "holder", "limits", "layout", "pack_bytes", "parcel_bytes", "testing")
)  # fmt: skip


class Spec(NamedTuple):
    """What a phase is asked for. ``now`` is the asker's Unix time; no manifest in mode back."""

    deploy: int
    nonce: str
    mode: str
    layout: Layout
    limits: Limits
    fleet: str = ""
    check: bool = False
    node: str = ""
    commit: str = ""
    holder: str = ""
    manifest: Manifest | None = None
    now: float | None = None
    pack_bytes: int = 0
    parcel_bytes: int = 0
    kill_at: str = ""

    @property
    def back(self) -> bool:
        """Whether the baseline is to be restored."""
        return self.mode == BACK

    @property
    def wanted(self) -> Manifest:
        """The release to converge to; SpecError where a spec brings none."""
        if self.manifest is None:
            raise SpecError("brings no manifest", where="spec")
        return self.manifest


def parse(line: bytes) -> Spec:
    """Read a spec. Raises SpecError for anything that is not exactly a spec of this version."""
    try:
        data = json.loads(line)
    except ValueError as error:
        raise SpecError(f"is no JSON: {error}", where="spec") from None
    if not isinstance(data, dict) or data.get("v") != VERSION:
        raise SpecError(f"is not of version {VERSION}", where="spec")
    unknown = sorted(set(data) - _KEYS)
    if unknown:
        raise SpecError(f"has the unknown keys {', '.join(unknown)}", where="spec")
    try:
        return Spec(
            deploy=_whole(data, "deploy"),
            nonce=_nonce(data.get("nonce")),
            mode=_mode(data.get("mode", FORWARD)),
            layout=layouts.from_json(data.get("layout", {})),
            limits=_limits(data.get("limits", {})),
            fleet=_text(data, "fleet"),
            check=data.get("check", False) is True,
            node=_text(data, "node"),
            commit=_text(data, "commit"),
            holder=_text(data, "holder"),
            manifest=_manifest(data.get("manifest")),
            now=_number(data.get("now")),
            pack_bytes=_whole(data, "pack_bytes", 0),
            parcel_bytes=_whole(data, "parcel_bytes", 0),
            kill_at=_kill_at(data.get("testing")),
        )
    except (ConfigError, ManifestError, layouts.LayoutError) as error:
        raise SpecError(error.what, where=error.where or "spec") from error


def _manifest(data: object) -> Manifest | None:
    return None if data is None else manifests.from_json(data)


def _limits(data: object) -> Limits:
    if not isinstance(data, Mapping):
        raise SpecError("limits is no JSON object", where="spec")
    return Limits({str(name): value for name, value in data.items()})


def _whole(data: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = data.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SpecError(f"{key} is no whole number", where="spec")
    return value


def _number(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpecError("now is no number", where="spec")
    return float(value)


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key, "")
    if not isinstance(value, str) or len(value) > 1000:
        raise SpecError(f"{key} is no text", where="spec")
    return value


def _nonce(value: object) -> str:
    if not isinstance(value, str) or not _NONCE.fullmatch(value):
        raise SpecError("nonce is not 16 hex digits", where="spec")
    return value


def _mode(value: object) -> str:
    if value not in (FORWARD, BACK):
        raise SpecError(f"mode is {FORWARD} or {BACK}", where="spec")
    return str(value)


def _kill_at(data: object) -> str:
    if data is None:
        return ""
    if not isinstance(data, Mapping) or set(data) - {"kill_at"}:
        raise SpecError("testing may only say kill_at", where="spec")
    return _text(data, "kill_at")
