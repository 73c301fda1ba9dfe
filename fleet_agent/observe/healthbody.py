"""What an answer of a health endpoint means for the wizard that was asked for. Pure.

Read by its body, not by its status alone: another agent's gateway on the same port says 200 too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from fleet_agent.observe.sight import HealthSight
from fleet_agent.wire import DESCRIPTION, PROBLEM_TYPE, Health

_MARK: Final = f'"description":"{DESCRIPTION}'.encode()
_MOST_SHOWN: Final = 60
_MOST_SECONDS: Final = 1e10  # three hundred years


def judge(wizard: str, fleet: str, status: int, body: bytes, via: str) -> HealthSight:
    """The health of ``wizard`` by an HTTP answer that came ``via`` http or ssh."""
    said = _object(body)
    if said is None:
        who = "its health answer is broken" if _MARK in body else "something else answers there"
        return _not_ours(f"{who}: {status}, {_beginning(body)}", via)
    if _text(said.get("type")).startswith(PROBLEM_TYPE):
        # Ours without a doubt: a handler broke, or the daemon is too busy to say how it is.
        why = _text(said.get("detail")) or "no reason"
        return _not_ours(f"fleet-agent answers there, not with its health: {status}, {why}", via)
    owner = said.get("serviceId")
    if not isinstance(owner, str) or not owner:
        ours = _text(said.get("description")).startswith(DESCRIPTION)
        who = "its health answer is broken" if ours else "something else answers there"
        return _not_ours(f"{who}: {status}, JSON without a serviceId", via)
    if owner != wizard:
        return _not_ours(f"the daemon of {owner[:_MOST_SHOWN]} answers there", via)
    other = said.get("fleet")
    if isinstance(other, str) and other != fleet:
        return _not_ours(f"{owner} of another fleet ({other[:_MOST_SHOWN]}) answers there", via)
    try:
        health = Health(said["status"])
    except (KeyError, ValueError, TypeError):
        return _not_ours(f"it says no status that we know: {said.get('status')!r:.60}", via)
    why = "; ".join(_texts(said.get("output")))
    if health is Health.FAIL or status == 200:
        return _ours(health, why, said, via)
    return _ours(Health.FAIL, f"it says {health} with status {status}", said, via)


def _ours(health: Health, why: str, said: Mapping[str, Any], via: str) -> HealthSight:
    return HealthSight(
        status=health,
        why=why or ("" if health is Health.PASS else f"it says {health} and no reason"),
        via=via,
        answered=True,
        version=_text(said.get("version")),
        release=_text(said.get("installed")),
        running=_text(said.get("releaseId")),
        age_seconds=_uptime(said),
    )


def _not_ours(why: str, via: str) -> HealthSight:
    return HealthSight(Health.FAIL, why, via)


def _object(body: bytes) -> Mapping[str, Any] | None:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _beginning(body: bytes) -> str:
    text = body[:_MOST_SHOWN].decode("utf-8", "replace").strip()
    return repr(text) if text else "without a body"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    """``output`` of the health format is a text; ours is a list of them."""
    if isinstance(value, str):
        return [value] if value else []
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _uptime(said: Mapping[str, Any]) -> float | None:
    try:
        value = said["checks"]["uptime"][0]["observedValue"]
    except (KeyError, IndexError, TypeError):
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    # Whoever answers there may say infinity, or a number that no float holds.
    return float(value) if 0 <= value <= _MOST_SECONDS else None
