"""A dry run's differences for people: on a terminal, or as Markdown for a pull request. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Diffs = Mapping[str, Sequence[Mapping[str, str]]]
_FENCE = "```"


def as_text(diffs: Diffs, cause: str | None) -> str:
    """One unified diff a node, each under its host's name; ``cause`` is why it can't be told."""
    parts = [
        f"# {host}\n{_unified(diff) or 'nothing would change'}" for host, diff in diffs.items()
    ]
    if cause:
        parts.append(f"# would fail\n{_shown(cause)}")
    return "\n\n".join(parts) + "\n"


def as_markdown(
    diffs: Diffs, cause: str | None, *, commit: str, ref: str, more: Sequence[str] = ()
) -> str:
    """The same, made for pasting: a summary line, then a folded diff a node.

    ``more`` are the sentences behind ``cause``, such as each mistake of a registry.
    """
    changed = [host for host, diff in diffs.items() if diff]
    title = f"**fleet-agent**: `{ref}` at `{commit[:12]}` would "
    if cause:
        said = "\n".join([cause, *more])
        head = f"{title}fail:\n\n{_fenced(said)}"
    elif changed:
        head = title + f"change {len(changed)} of {len(diffs)} nodes"
    else:
        head = title + f"change nothing on {len(diffs)} nodes"
    return "\n".join([head, "", *(_folded(host, diff) for host, diff in diffs.items() if diff)])


def _folded(host: str, diff: Sequence[Mapping[str, str]]) -> str:
    places = len(diff)
    return (
        f"<details><summary>{host}: {places} place{'s' if places != 1 else ''}</summary>\n\n"
        f"{_fenced(_unified(diff), 'diff')}\n\n</details>\n"
    )


def _fenced(text: str, kind: str = "") -> str:
    fence = _FENCE
    while fence in text:  # a soul may quote Markdown of its own
        fence += "`"
    return f"{fence}{kind}\n{_shown(text)}\n{fence}"


def _unified(diff: Sequence[Mapping[str, str]]) -> str:
    return "\n".join(_part(part) for part in diff)


def _part(part: Mapping[str, str]) -> str:
    text = part.get("text", "").rstrip("\n")
    return _shown(text) or f"--- {part.get('path', '')}\n(changed)"


def _shown(text: str) -> str:
    """``text`` of a commit or a node without what would steer a terminal."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )


def result_sentences(result: Mapping[str, Any]) -> list[str]:
    """A deploy's result in sentences, the cause first, then the way back."""
    lines: list[str] = []
    cause = result.get("cause")
    if cause:
        where = f" ({cause['where']})" if cause.get("where") else ""
        lines.append(
            f"cause: {cause['host']} failed in {cause['phase'] or 'the run'}{where}: "
            f"{cause['what']}"
        )
        if cause.get("task"):
            lines.append(f"  task: {cause['task']}")
        lines += [f"  unit log: {line}" for line in cause.get("unit_log") or ()]
        if cause.get("health"):
            lines.append(f"  health: {cause['health']}")
        if cause.get("mend"):
            lines.append(f"  to mend: {cause['mend']}")
    for name, what in (
        ("touched", "touched"),
        ("put_back", "put back and verified"),
        ("unconfirmed", "not known to be back"),
        ("confirmed", "confirmed"),
    ):
        if result.get(name):
            lines.append(f"{what}: {', '.join(result[name])}")
    lines += [
        f"way back: {failure['host']} failed in {failure['phase']}: {failure['what']}"
        for failure in result.get("back_failures") or ()
    ]
    for run, part in (result.get("runs") or {}).items():
        lines += [f"{run}: {note}" for note in part.get("notes") or ()]
    return lines
