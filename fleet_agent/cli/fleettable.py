"""The fleet as one table that a person reads at a glance: lines for a snapshot and a width. Pure.

What is not well says so in words; colour only repeats them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Final

from fleet_agent.cli.output import printable
from fleet_agent.observe.sight import SSH, FleetSnapshot, WizardSight
from fleet_agent.wire import Health

HEAD: Final = ("WIZARD", "HOST", "ROLE", "MODEL", "SSH", "HEALTH", "RELEASE", "AGE")
WHY: Final = "WHY"
# Columns that may be shortened when the table is too wide, in this order, and to how much.
_GIVING: Final = ((3, 9), (1, 10), (0, 9))
_RELEASE_SHOWN: Final = 8
_GAP: Final = "  "
# With less room than this beside the row, the reason goes below it.
_WHY_LEAST: Final = 24

Paint = Callable[[str, str], str]


def lines(snapshot: FleetSnapshot, width: int | None, paint: Paint) -> list[str]:
    """The table and a last line that sums up. ``width`` None: nothing is shortened or wrapped."""
    rows = [_cells(wizard) for wizard in snapshot.wizards]
    reasons = [_why(wizard) for wizard in snapshot.wizards]
    widths = _fitted([HEAD, *rows], width)
    used = sum(widths) + len(_GAP) * len(widths)
    beside = width is None or width - used >= _WHY_LEAST
    head = _row(HEAD, widths) + (_GAP + WHY if beside and any(reasons) else "")
    shown = [paint("bold", head)]
    for wizard, cells, why in zip(snapshot.wizards, rows, reasons, strict=True):
        row = _row(cells, widths, lambda i, text, w=wizard: _painted(w, i, text, paint))  # type: ignore[misc]
        if width is None:
            shown.append(f"{row}{_GAP}{why}".rstrip())
        elif beside:
            first, *more = textwrap.wrap(why, width - used) or [""]
            shown.append(f"{row}{_GAP}{first}".rstrip())
            shown += [" " * used + text for text in more]
        else:
            shown.append(row.rstrip())
            shown += textwrap.wrap(why, width, initial_indent="    ", subsequent_indent="    ")
    return [*shown, "", _sum(snapshot, paint)]


def age(seconds: float | None) -> str:
    """A span of time in a number and a letter: 12s, 5m, 3h, 41d."""
    if seconds is None:
        return "-"
    for letter, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{letter}"
    return f"{int(max(0, seconds))}s"


def _cells(wizard: WizardSight) -> tuple[str, ...]:
    health = wizard.health
    return tuple(
        printable(text) or "-"
        for text in (
            wizard.name,
            wizard.host,
            wizard.role,
            wizard.model,
            "ok" if wizard.ssh.ok else "FAILED",
            f"{health.status} via ssh" if health.via == SSH else str(health.status),
            health.release[:_RELEASE_SHOWN],
            age(health.age_seconds),
        )
    )


def _why(wizard: WizardSight) -> str:
    reasons = [] if wizard.ssh.ok else [f"ssh: {wizard.ssh.why}"]
    return printable("; ".join([*reasons, *([wizard.health.why] if wizard.health.why else [])]))


def _fitted(rows: Sequence[Sequence[str]], width: int | None) -> list[int]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    if width is None:
        return widths
    for column, least in _GIVING:
        over = sum(widths) + len(_GAP) * (len(widths) - 1) - width
        if over > 0:
            widths[column] = max(min(least, widths[column]), widths[column] - over)
    return widths


def _row(
    cells: Sequence[str],
    widths: Sequence[int],
    paint: Callable[[int, str], str] = lambda _, text: text,
) -> str:
    padded = [
        paint(i, text := _shortened(cell, width)) + " " * (width - len(text))
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return _GAP.join(padded)


def _shortened(text: str, width: int) -> str:
    """``text`` within ``width``, its middle left out: names differ at their ends."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def _painted(wizard: WizardSight, column: int, text: str, paint: Paint) -> str:
    if HEAD[column] == "SSH":
        return paint("green" if wizard.ssh.ok else "red", text)
    if HEAD[column] == "HEALTH":
        colours = {Health.PASS: "green", Health.WARN: "yellow", Health.FAIL: "red"}
        return paint(colours[wizard.health.status], text)
    return text


def _sum(snapshot: FleetSnapshot, paint: Paint) -> str:
    not_well = [wizard.name for wizard in snapshot.wizards if not wizard.well]
    count = len(snapshot.wizards)
    if not not_well:
        return paint("green", f"{snapshot.fleet}: all {count} wizards are well")
    names = ", ".join(not_well[:8]) + (" …" if len(not_well) > 8 else "")
    return paint("red", f"{snapshot.fleet}: {len(not_well)} of {count} not well: {names}")
