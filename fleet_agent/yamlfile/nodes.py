"""What a YAML file is made of, with lines; values stay the text that stands in the file.

YAML guesses types (``no`` is false, ``1.10`` is 1.1). Here the reader of a value says which type
it wants, and ``looks_like`` only tells whether other YAML readers would guess another one.
"""

from __future__ import annotations

import re
from typing import Final


class Scalar:
    """Text as it stands in the file; ``plain`` when it stands without quotes."""

    __slots__ = ("line", "plain", "text")

    def __init__(self, text: str, plain: bool, line: int) -> None:
        self.text = text
        self.plain = plain
        self.line = line


class Sequence:
    """A list."""

    __slots__ = ("items", "line")

    def __init__(self, line: int) -> None:
        self.items: list[Node] = []
        self.line = line


class Mapping:
    """Keys with values; ``lines`` has the line of each key."""

    __slots__ = ("entries", "line", "lines")

    def __init__(self, line: int) -> None:
        self.entries: dict[str, Node] = {}
        self.lines: dict[str, int] = {}
        self.line = line


Node = Scalar | Sequence | Mapping

NOTHING: Final = "nothing"
TRUTH: Final = "a yes/no value"
NUMBER: Final = "a number"

# YAML 1.1 (what PyYAML and Ansible read) and 1.2 together. Dates and sexagesimal numbers are left
# out on purpose: nobody means them, and `1:2:3:4:5:6:7:8` is an IPv6 address.
_TRUTH: Final = re.compile(
    r"(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|o[nN]|ON|o[fF]f|OFF|On|Off)\Z"
)
_NUMBER: Final = re.compile(
    r"[-+]?(?:0[bB][01_]+|0[oO]?[0-7_]+|0[xX][0-9a-fA-F_]+|[0-9][0-9_]*"
    r"|(?:[0-9][0-9_]*)?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*\.?(?:[eE][-+]?[0-9]+)?"
    r"|\.(?:inf|Inf|INF|nan|NaN|NAN))\Z"
)
_NOTHING: Final = frozenset(("", "~", "null", "Null", "NULL"))


def looks_like(text: str) -> str:
    """What other YAML readers take ``text`` without quotes for: one of the words above, or ''."""
    if text in _NOTHING:
        return NOTHING
    if _NUMBER.match(text):
        return NUMBER
    return TRUTH if _TRUTH.match(text) else ""


def kind(node: Node) -> str:
    """What a node is, in the words of an error text."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    return (looks_like(node.text) if node.plain else "") or "text"
