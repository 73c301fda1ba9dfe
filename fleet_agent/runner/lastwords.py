"""What a program said last on standard error, fit for a reason that travels. Pure.

Reasons stand in logs, dead letters and answers to others: they are short and name no secret.
"""

from __future__ import annotations

import re
from typing import Final

_LONGEST: Final = 200
_HIDDEN: Final = "***"
_SECRETS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # name=value, name: value, "Bearer value": the name stays.
        r"""(?ix) ( [\w-]* (?: token | secret | passw(?:or)?d | api[_-]?key | credentials?
            | authorization ) [\w-]* ["']? \s* [=:] \s* (?: (?: bearer | basic ) \s+ )? )
            ["']? [^\s"',;]{4,} ["']? """,
        r"(?i)\b(bearer\s+)(?!\*)\S{4,}",
        # What services give out as keys: a known beginning, or long and without a word in it.
        r"()\b(?:sk|pk|rk|gh[opsu]|github_pat|glpat|xox[abprs]|hf|fa)[-_][A-Za-z0-9_-]{8,}",
        r"()\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)*",
        r"()\b(?=[A-Za-z+/_-]*[0-9])[A-Za-z0-9+/_-]{32,}={0,2}",
        # A URL's user and password.
        r"(\b[a-z][a-z0-9+.-]*://)[^\s/@]+@",
    )
)


def last_line(said: bytes) -> str:
    """The last line of ``said`` with something on it, short, printable, secrets hidden."""
    lines = said.decode("utf-8", "replace").splitlines()
    line = next((line for line in reversed(lines) if line.strip()), "")
    line = "".join(char if char.isprintable() else " " for char in line).strip()
    for secret in _SECRETS:
        line = secret.sub(rf"\1{_HIDDEN}", line)
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "…"
