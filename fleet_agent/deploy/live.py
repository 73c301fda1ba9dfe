"""The events of a deploy as they are written: read from files, so that following can resume.

Each file holds one JSON object a line; a position says how far each was read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final

# notes: fleet-deploy's own; events: the run forward; back-events: the way back.
FILES: Final = ("notes.jsonl", "events.jsonl", "back-events.jsonl")

Event = Mapping[str, Any]
Position = tuple[int, ...]
START: Final[Position] = (0, 0, 0)

_CHUNK: Final = 4 * 1024 * 1024


def read(directory: str, position: Position) -> tuple[list[Event], Position]:
    """Events after ``position`` in order of their time, and the position after them."""
    found: list[Event] = []
    after = []
    for name, at in zip(FILES, position, strict=True):
        events, end = _read_file(os.path.join(directory, name), at)
        found += events
        after.append(end)
    found.sort(key=_time)
    return found, tuple(after)


def _read_file(path: str, at: int) -> tuple[list[Event], int]:
    try:
        with open(path, "rb") as file:
            file.seek(at)
            data = file.read(_CHUNK)
    except FileNotFoundError:
        return [], at
    whole = data[: data.rfind(b"\n") + 1]  # the last line may be half written
    events: list[Event] = []
    for line in whole.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # half a line of a process that was killed, ended by its successor
        if isinstance(event, dict):
            events.append(event)
    return events, at + len(whole)


def _time(event: Event) -> float:
    at = event.get("t")
    return float(at) if isinstance(at, int | float) else 0.0


def append_note(directory: str, event: Event) -> None:
    """Add one event of fleet-deploy's own."""
    line = json.dumps(event, separators=(",", ":")) + "\n"
    with open(os.path.join(directory, FILES[0]), "a", encoding="utf-8") as file:
        file.write(line)


def position_of(value: object) -> Position:
    """The position that a client sent back; the start for anything else."""
    if (
        isinstance(value, list)
        and len(value) == len(FILES)
        and all(isinstance(at, int) and not isinstance(at, bool) and at >= 0 for at in value)
    ):
        return tuple(value)
    return START
