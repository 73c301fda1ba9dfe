"""A deploy's events and rows as lines that a person follows. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from fleet_agent.deploy.report import result_sentences
from fleet_agent.forge.refs import short

_ENDED_WELL = "verified"


def event_line(deploy: int, event: Mapping[str, Any], host_width: int = 0) -> str | None:
    """One event as a line; None for those that say nothing to a person."""
    kind, host = event.get("event"), clean(event.get("host"))
    head = f"deploy {deploy}"
    if kind == "note":
        return f"{head}  {clean(event.get('message'))}"
    if kind == "cause":
        return f"{head}  cause: {clean(event.get('message'))}"
    if kind not in ("ok", "failed", "unreachable"):
        return None
    phase = clean(event.get("phase"))
    if event.get("mode") == "back":
        phase = f"back: {phase}"
    parts = [head, f"{phase:<9}", f"{host:<{host_width}}", str(kind)]
    seconds = event.get("seconds")
    if isinstance(seconds, int | float):
        parts.append(f"{seconds:.2f} s")
    if event.get("changed"):
        parts.append("changed")
    if kind != "ok":
        parts.append(_why(event))
    return "  ".join(part for part in parts if part)


def _why(event: Mapping[str, Any]) -> str:
    result = event.get("result")
    error = result.get("error") if isinstance(result, dict) else None
    what = error.get("what") if isinstance(error, dict) else None
    return clean(what or event.get("message"))


def state_line(deploy: Mapping[str, Any]) -> str:
    """Where a deploy stands, as a line."""
    commit = f" ({short(str(deploy['commit']))})" if deploy.get("commit") else ""
    return f"deploy {deploy['id']}  {deploy['state']}  {clean(deploy['ref'])}{commit}"


def end_lines(deploy: Mapping[str, Any]) -> list[str]:
    """How a deploy ended: its state and why; the cause first, then the way back."""
    seconds = deploy.get("seconds")
    took = f"  after {seconds:.1f} s" if isinstance(seconds, int | float) else ""
    lines = [f"deploy {deploy['id']}  {deploy['state']}{took}: {clean(deploy.get('reason'))}"]
    if deploy["state"] != _ENDED_WELL:
        lines += sentences(deploy.get("result") or {})
    return lines


def sentences(result: Mapping[str, Any]) -> list[str]:
    """A result in sentences, with the single mistakes of a refused registry."""
    cause = result.get("cause")
    mistakes = cause.get("mistakes") or () if isinstance(cause, dict) else ()
    told = [clean(line) for line in result_sentences(result)]
    return [*told, *(f"  mistake: {clean(mistake)}" for mistake in mistakes)]


def phase_table(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Rows (run, host, phase, seconds) of a result, the run forward first."""
    rows: list[tuple[str, ...]] = []
    for run, part in (result.get("runs") or {}).items():
        for host, phases in part.get("phases", {}).items():
            rows += [
                (clean(run), clean(host), clean(phase), f"{seconds:.2f}")
                for phase, seconds in phases.items()
            ]
    return rows


def deploy_rows(deploys: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Rows of a list of deploys."""
    return [
        (
            str(one["id"]),
            str(one["state"]),
            clean(one["ref"]).removeprefix("refs/tags/").removeprefix("refs/heads/"),
            short(str(one["commit"])) or "-",
            clean(one["requested_by"]) or "-",
            stamp(one["queued_at"]),
            f"{one['seconds']:.1f} s" if one.get("seconds") is not None else "-",
            clean(one["reason"]),
        )
        for one in deploys
    ]


DEPLOY_HEAD = ("DEPLOY", "STATE", "REF", "COMMIT", "BY", "WHEN", "TOOK", "WHY")
DELIVERY_HEAD = ("WHEN", "FORGE", "EVENT", "REF", "OUTCOME", "DEPLOY", "DELIVERY", "WHY")


def delivery_rows(deliveries: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Rows of a list of deliveries."""
    return [
        (
            stamp(one["received_at"]),
            clean(one["forge"]) or "?",
            clean(one["event"]) or "?",
            clean(one["ref"]) or "-",
            clean(one["outcome"]) + (f" +{one['repeats']} repeats" if one["repeats"] else ""),
            str(one["deploy"] or "-"),
            clean(one["delivery"]) or "?",
            clean(one["reason"]),
        )
        for one in deliveries
    ]


def stamp(at: float | None) -> str:
    """A time (Unix seconds) in the reader's own time zone."""
    return "-" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def clean(value: object) -> str:
    """A text from a node, a forge or a commit without what would steer a terminal."""
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else " " for char in text).strip()
