"""What a node, or Ansible in its name, said: made into short, printable values of known kinds.

A node may be in a thief's hands. Pure; whether what it says is true can't be known here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

MOST_BYTES: Final = 8 * 1024 * 1024  # one phase's answer
_EVIDENCE_BYTES: Final = 1024 * 1024
_HEALTH_BYTES: Final = 64 * 1024
_DIFF_CHARS: Final = 4 * 1024 * 1024
_SENTENCE_CHARS: Final = 4000
_LINE_CHARS: Final = 2000
_NOTES: Final = 100
_LOG_LINES: Final = 50
_PLACES: Final = 1000
_LEVELS: Final = 32
_UNSAID: Final = "\N{REPLACEMENT CHARACTER}"
# Besides controls and halves of characters: what turns the order of a line around.
_TURNING: Final = frozenset(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\x85"
)


def text(value: object, most: int = _SENTENCE_CHARS) -> str:
    """``value`` if it is a text, cut and without what steers a terminal; else empty.

    Line breaks and tabs stay. It can be written as UTF-8: halves of characters are replaced.
    """
    if not isinstance(value, str):
        return ""
    cut = value[:most]
    if cut.isascii() and cut.isprintable():
        return cut
    return "".join(_shown(char) for char in cut)


def _shown(char: str) -> str:
    if char in "\n\t":
        return char
    if char < " " or "\x7f" <= char <= "\x9f" or "\ud800" <= char <= "\udfff" or char in _TURNING:
        return _UNSAID
    return char


def plain(value: Any, levels: int = _LEVELS) -> Any:
    """A value of JSON with every text in it as ``text`` gives it, but whole.

    What lies deeper than ``levels`` is left out.
    """
    if isinstance(value, str):
        return text(value, len(value))
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if not isinstance(value, Mapping | list | tuple):
        return value
    if levels == 0:
        return _UNSAID
    if isinstance(value, Mapping):
        return {text(key): plain(item, levels - 1) for key, item in value.items()}
    return [plain(item, levels - 1) for item in value]


def read(line: str) -> Mapping[str, Any] | None:
    """The JSON object of a line, None for anything else, however deep it is nested."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return plain(value) if isinstance(value, dict) else None


def result(said: Mapping[str, Any]) -> dict[str, Any]:
    """A phase's result with every field of its kind: what is of another one counts as not said."""
    return {
        "ok": said.get("ok") is True,
        "changed": said.get("changed") is True,
        "touched": said.get("touched") is True,
        "armed": said.get("armed") is True,
        "diff": tuple(_diff(said.get("diff"))),
        "evidence": _bounded(said.get("evidence"), _EVIDENCE_BYTES) or {},
        "notes": _lines(said.get("notes"), _NOTES),
        "error": _error(said.get("error")),
    }


def _diff(value: object) -> list[dict[str, str]]:
    if not isinstance(value, list | tuple):
        return []
    return [
        {"path": text(part.get("path")), "text": text(part.get("text"), _DIFF_CHARS)}
        for part in value[:_PLACES]
        if isinstance(part, Mapping)
    ]


def _lines(value: object, most: int) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        return ()
    return tuple(text(one, _LINE_CHARS) for one in value[-most:] if isinstance(one, str))


def _error(value: object) -> dict[str, Any] | None:
    if not isinstance(value, Mapping):
        return None
    error: dict[str, Any] = {key: text(value.get(key)) for key in ("what", "where", "mend")}
    if "unit_log" in value:
        error["unit_log"] = list(_lines(value["unit_log"], _LOG_LINES))
        error["health"] = _bounded(value.get("health"), _HEALTH_BYTES)
    if isinstance(value.get("seen"), int):
        error["seen"] = value["seen"]
    return error


def _bounded(value: object, most: int) -> dict[str, Any] | None:
    """``value`` if it is an object that is not larger than ``most`` bytes as JSON."""
    if not isinstance(value, Mapping):
        return None
    size = len(json.dumps(value))
    return dict(value) if size <= most else {"left out": f"{size} bytes, {most} are kept"}
