"""Reads values out of nodes: a spot in the file knows its key path and notes what is wrong there.

Every reader returns None after a mistake, and reading goes on. What a text must be like is a
rule: a pure function from text to value that raises ``Wrong``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from fleet_agent.errors import ConfigError
from fleet_agent.yamlfile.mistakes import Mistakes, near
from fleet_agent.yamlfile.nodes import Mapping, Node, Scalar, kind
from fleet_agent.yamlfile.nodes import Sequence as ListNode

T = TypeVar("T")

LONGEST_TEXT: Final = 4096
_STEERING: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_WHOLE: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\Z")
_DECIMAL: Final = re.compile(
    r"[-+]?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?(?:[eE][-+]?[0-9]{1,2})?\Z"
)
_STEP: Final = re.compile(r"([^.\[\]]+)(?![^\[]*\])|\[([0-9]+)\]")
_TRUTHS: Final = {"true": True, "false": False}
_NULLS: Final = frozenset(("null", "~", ""))


class Wrong(ConfigError):  # noqa: N818 (it reads as what it says)
    """What a rule says of a text that it refuses."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what, mend=mend)


class Spot:
    """One value in a file, at the key path ``key``."""

    __slots__ = ("key", "mistakes", "node")

    def __init__(self, node: Node, key: str, mistakes: Mistakes) -> None:
        self.node = node
        self.key = key
        self.mistakes = mistakes

    def wrong(self, what: str, mend: str) -> None:
        """Note a mistake here, and how to mend it."""
        self.mistakes.add(self.node.line, self.key, what, mend)

    def is_text(self) -> bool:
        """A single value, neither list nor mapping."""
        return isinstance(self.node, Scalar)

    def is_mapping(self) -> bool:
        """Keys with values."""
        return isinstance(self.node, Mapping)

    def text(self) -> str | None:
        """One line of text; without quotes, not what YAML readers take for a number or truth."""
        node = self.node
        if not isinstance(node, Scalar):
            self._must_be("text", "write a single value")
            return None
        found = kind(node)
        if found != "text":
            if found == "nothing":
                self.wrong("has no value", "write one, or remove the key")
            else:
                self.wrong(f"must be text, {node.text} reads as {found}", f'write "{node.text}"')
            return None
        if not node.text.strip():
            self.wrong("is empty", "write a value, or remove the key")
        elif len(node.text) > LONGEST_TEXT:
            self.wrong(f"is longer than {LONGEST_TEXT} characters", "shorten it")
        elif _STEERING.search(node.text):
            self.wrong("must be one line without control characters", "write it in one line")
        else:
            return node.text
        return None

    def read(self, rule: Callable[[str], T]) -> T | None:
        """Text as ``rule`` understands it."""
        text = self.text()
        return None if text is None else self.judged(rule, text)

    def judged(self, rule: Callable[[str], T], text: str) -> T | None:
        """``text``, which belongs to this spot, as ``rule`` understands it."""
        try:
            return rule(text)
        except Wrong as error:
            self.wrong(error.what, error.mend)
            return None

    def choice(self, words: Sequence[str]) -> str | None:
        """One of ``words``."""
        text = self.text()
        if text is None or text in words:
            return text
        meant = near(text, words)
        mend = f"did you mean {meant!r}?" if meant else "choose one of these"
        self.wrong(f"must be {_either(words)}, is {text!r}", mend)
        return None

    def whole(self, low: int, high: int) -> int | None:
        """A whole number, ``low`` and ``high`` included."""
        node = self.node
        if not isinstance(node, Scalar) or not node.plain or not _WHOLE.match(node.text):
            self._must_be("a whole number", "digits alone, without quotes")
            return None
        value = int(node.text)
        if low <= value <= high:
            return value
        self.wrong(f"must lie between {low} and {high}, is {value}", "choose one of these")
        return None

    def number(self) -> float | None:
        """A number; its bounds are the caller's matter."""
        node = self.node
        if not isinstance(node, Scalar) or not node.plain or not _DECIMAL.match(node.text):
            self._must_be("a number", "digits such as 60 or 0.5, without quotes")
            return None
        return float(node.text)

    def flag(self) -> bool | None:
        """true or false. The other words of YAML 1.1 (yes, on, …) are refused."""
        node = self.node
        if isinstance(node, Scalar) and node.plain and node.text in _TRUTHS:
            return _TRUTHS[node.text]
        self._must_be("true or false", "write one of them, without quotes")
        return None

    def each(self) -> Iterator[Spot]:
        """The values of a list."""
        if not isinstance(self.node, ListNode):
            self._must_be("a list", "write it as [one, two]")
            return
        for number, item in enumerate(self.node.items):
            yield Spot(item, f"{self.key}[{number}]", self.mistakes)

    def all_of(self, rule: Callable[[str], T]) -> tuple[T, ...]:
        """A list of texts as ``rule`` understands them, without those that it refuses."""
        values = (spot.read(rule) for spot in self.each())
        return tuple(value for value in values if value is not None)

    def fields(self, known: Sequence[str] | None = None) -> Fields | None:
        """Keys with values. With ``known``, another key is a mistake, near misses are named."""
        if not isinstance(self.node, Mapping):
            self._must_be("a mapping", "write it as {key: value}")
            return None
        fields = Fields(self.node, self.key, self.mistakes)
        if known is not None and not self.node.entries.keys() <= set(known):
            fields.refuse_others(known)
        return fields

    def json(self) -> object:
        """Any value that JSON has; unquoted text keeps its meaning only where YAML 1.2 agrees."""
        node = self.node
        if isinstance(node, ListNode):
            return [spot.json() for spot in self.each()]
        if isinstance(node, Mapping):
            return self.json_object()
        found = kind(node)
        if found == "text":
            if "\x00" in node.text or _SURROGATE.search(node.text):
                self.wrong("holds a character that text can't have", "remove it")
            return node.text
        if node.text in _TRUTHS:
            return _TRUTHS[node.text]
        if node.text in _NULLS:
            return None
        if _WHOLE.match(node.text):
            return int(node.text)
        if _DECIMAL.match(node.text):
            return float(node.text)
        self._must_be("a value that YAML 1.1, 1.2 and JSON agree on", "put text in quotes")
        return None

    def json_object(self) -> dict[str, object] | None:
        """A mapping of any values that JSON has."""
        if not isinstance(self.node, Mapping):
            self._must_be("a mapping", "write it as {key: value}")
            return None
        return {name: spot.json() for name, spot in Fields(self.node, self.key, self.mistakes)}

    def _must_be(self, wanted: str, mend: str) -> None:
        node = self.node
        found = kind(node)
        if isinstance(node, Scalar) and found != "nothing":
            quoted = "" if node.plain else " in quotes"
            shown = node.text if len(node.text) <= 40 else node.text[:40] + "…"
            found = f"{found} ({shown!r}{quoted})" if found != "text" else f"{shown!r}{quoted}"
        self.wrong(f"must be {wanted}, is {found}", mend)


_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Fields:
    """The keys of a mapping, each a spot."""

    __slots__ = ("_mistakes", "_node", "key")

    def __init__(self, node: Mapping, key: str, mistakes: Mistakes) -> None:
        self._node = node
        self._mistakes = mistakes
        self.key = key

    def __contains__(self, name: str) -> bool:
        return name in self._node.entries

    def __iter__(self) -> Iterator[tuple[str, Spot]]:
        for name in self._node.entries:
            yield name, self._spot(name)

    def __len__(self) -> int:
        return len(self._node.entries)

    def at(self, name: str) -> Spot | None:
        """The value of ``name``, if the key is there."""
        return self._spot(name) if name in self._node.entries else None

    def need(self, name: str, mend: str = "") -> Spot | None:
        """The value of ``name``; that it isn't there is a mistake."""
        if name not in self._node.entries:
            mend = mend or f"say {name}: …"
            self._mistakes.add(self._node.line, self._path(name), "is missing", mend)
            return None
        return self._spot(name)

    def wrong(self, path: str, what: str, mend: str) -> None:
        """Note a mistake at ``path``, a key or further down (``files[0].place``).

        Its line is that of the last step that is in the file.
        """
        self._mistakes.add(self._line(path), self._path(path), what, mend)

    def _line(self, path: str) -> int:
        node: Node = self._node
        line = node.line
        for name, index in _STEP.findall(path):
            if name and isinstance(node, Mapping) and name in node.entries:
                line, node = node.lines[name], node.entries[name]
            elif index and isinstance(node, ListNode) and int(index) < len(node.items):
                node = node.items[int(index)]
                line = node.line
            else:
                break
        return line

    def refuse_others(self, known: Sequence[str]) -> None:
        """Keys that are none of ``known`` are mistakes."""
        for name in self._node.entries:
            if name in known:
                continue
            mend = "" if self._mistakes.full else self._advice(name, known)
            line = self._node.lines[name]
            self._mistakes.add(line, self._path(name), "unknown key", mend)

    def _advice(self, name: str, known: Sequence[str]) -> str:
        meant = near(name, known)
        return f"did you mean {meant!r}?" if meant else f"known here: {', '.join(known)}"

    def _spot(self, name: str) -> Spot:
        return Spot(self._node.entries[name], self._path(name), self._mistakes)

    def _path(self, name: str) -> str:
        return f"{self.key}.{name}" if self.key else name


def _either(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
