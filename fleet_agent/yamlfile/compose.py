"""Bytes to nodes, event by event: no recursion, no objects of YAML's, a bound on everything.

Refused: tags, merge keys, keys twice, a second document, aliases that explode or hold themselves.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from fleet_agent.yamlfile.mistakes import Mistakes
from fleet_agent.yamlfile.nodes import NOTHING, Mapping, Node, Scalar, Sequence, looks_like

# libyaml where PyYAML was built with it, thirty times faster; the events are the same.
LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NO_TEXT: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAB_INDENT: Final = re.compile("[ ]*\t")
_QUOTE: Final = "put it in quotes"
_FLATTER: Final = "write it flatter: nothing that is understood lies so deep"


def read_file(path: str, mistakes: Mistakes) -> Node | None:
    """The document in the file ``path``; None when there is a mistake that hides it."""
    most = mistakes.limits.whole("registry_bytes")
    try:
        with open(path, "rb", opener=_without_waiting) as source:
            data = source.read(most + 1)
    except OSError as error:
        mend = "name the right file, one that you may read"
        mistakes.add(0, "", f"could not be read: {error.strerror}", mend)
        return None
    return compose(data or b"", mistakes)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe that nobody writes to is an empty file


def compose(data: bytes, mistakes: Mistakes, loader: Any = LOADER) -> Node | None:
    """The document in ``data`` (UTF-8); None when there is a mistake that hides it.

    ``loader`` is one of PyYAML's, asked for events only.
    """
    most = mistakes.limits.whole("registry_bytes")
    if len(data) > most:
        mistakes.add(
            0, "", f"is larger than {most} bytes", "name the right file, or split the fleet"
        )
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        mistakes.add(line, "", "is not UTF-8 text", "save the file as UTF-8")
        return None
    strange = _NO_TEXT.search(text)
    if strange:
        line = text.count("\n", 0, strange.start()) + 1
        mistakes.add(line, "", f"has the control character {strange.group()!r}", "remove it")
        return None
    builder = _Builder(mistakes)
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.take(event)
    except _Stop:
        return None
    except yaml.MarkedYAMLError as error:
        _syntax(error, text, mistakes)
        return None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # an escape like "\UFFFFFFFF"
        what = f"is not YAML: {str(error).splitlines()[0]}"
        mistakes.add(0, "", what, "look for escapes (a backslash in double quotes)")
        return None
    if builder.root is None:
        mistakes.add(0, "", "is empty", "etc/ of fleet-agent has an example with every key")
    return builder.root


def _syntax(error: yaml.MarkedYAMLError, text: str, mistakes: Mistakes) -> None:
    """YAML can't be read behind a syntax error; tabs, the likeliest cause, are shown all."""
    tabs = [
        number
        for number, line in enumerate(text.split("\n"), 1)
        if _TAB_INDENT.match(line) and line.strip()
    ]
    for number in tabs:
        mistakes.add(number, "", "is indented with a tab", "indent with spaces")
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    if line in tabs:
        return
    if error.problem and "nesting depth" in error.problem:  # libyaml's own bound, from 0.2.6 on
        most = mistakes.limits.whole("yaml_depth")
        mistakes.add(line, "", f"is nested deeper than {most} levels", _FLATTER)
        return
    parts = [part for part in (error.context, error.problem) if part]
    mend = "look at this line and the one above"
    if error.problem and "alias" in error.problem:
        mend = "put text that begins with * in quotes"
    elif error.problem and "mapping values" in error.problem:
        mend = "put text that contains ': ' in quotes"
    elif error.problem and "flow" in (error.context or "") + error.problem:
        mend = "put text with : , [ ] { } in quotes"
    mistakes.add(line, "", "is not YAML: " + ", ".join(parts), mend)


class _Stop(Exception):  # noqa: N818 (never leaves this module)
    """A mistake behind which nothing can be read."""


class _Open:
    """A container whose end has not come yet."""

    __slots__ = ("anchor", "awaiting", "before", "container", "drop", "height", "key", "key_line")

    def __init__(self, container: Mapping | Sequence, anchor: str | None, before: int) -> None:
        self.container = container
        self.anchor = anchor
        self.before = before  # values read before it: the difference at its end is its size
        self.height = 0
        self.awaiting = isinstance(container, Mapping)  # the next value is a key
        self.drop = False  # the value of a key that can't be kept
        self.key = ""
        self.key_line = 0


class _Builder:
    """Puts events together. ``_sizes`` of an anchor is None while its value is still open."""

    def __init__(self, mistakes: Mistakes) -> None:
        self.root: Node | None = None
        self._mistakes = mistakes
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int, int] | None] = {}
        self._values = 0
        self._repeated = 0
        self._documents = 0
        limits = mistakes.limits
        self._most_depth = limits.whole("yaml_depth")
        self._most_values = limits.whole("yaml_nodes")
        self._most_repeated = limits.whole("yaml_alias_nodes")

    def take(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._count(event)
            node = Scalar(event.value, not event.style, event.start_mark.line + 1)
            if event.tag is not None:
                self._refuse_tag(event)
            if event.anchor:
                self._anchors[event.anchor] = (node, 1, 0)
            self._put(node, 0)
        elif kind is yaml.MappingStartEvent:
            self._open(Mapping(event.start_mark.line + 1), event)
        elif kind is yaml.SequenceStartEvent:
            self._open(Sequence(event.start_mark.line + 1), event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._close()
        elif kind is yaml.AliasEvent:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent:
            self._documents += 1
            if self._documents > 1:
                self._stop(event, "a second document begins", "remove the line '---'")

    def _count(self, event: Any) -> None:
        self._values += 1
        if self._values > self._most_values:
            self._stop(event, f"has more than {self._most_values} values", "name the right file")

    def _open(self, container: Mapping | Sequence, event: Any) -> None:
        before = self._values
        self._count(event)
        if event.tag is not None:
            self._refuse_tag(event)
        if len(self._stack) >= self._most_depth:
            self._stop(event, f"is nested deeper than {self._most_depth} levels", _FLATTER)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(container, event.anchor, before))

    def _close(self) -> None:
        done = self._stack.pop()
        height = done.height + 1
        if done.anchor:
            self._anchors[done.anchor] = (done.container, self._values - done.before, height)
        self._put(done.container, height)

    def _alias(self, event: Any) -> None:
        line, name = event.start_mark.line + 1, event.anchor
        if name not in self._anchors:
            mend = "put text that begins with * in quotes"
            self._mistakes.add(line, self._key(), f"there is no anchor &{name}", mend)
            self._put(Scalar("", False, line), 0)
            return
        known = self._anchors[name]
        if known is None:
            what = f"the alias *{name} stands inside of what it repeats"
            self._stop(event, what, "write out what is meant")
            return
        node, size, height = known
        self._repeated += size
        self._values += size
        if self._repeated > self._most_repeated or self._values > self._most_values:
            what = f"aliases repeat more than {self._most_repeated} values"
            self._stop(event, what, "write them out")
        if len(self._stack) + height > self._most_depth:
            self._stop(event, f"is nested deeper than {self._most_depth} levels", _FLATTER)
        self._put(node, height)

    def _put(self, node: Node, height: int) -> None:
        """A finished value goes where it belongs: root, list, key or value of a mapping."""
        if not self._stack:
            self.root = node
            return
        top = self._stack[-1]
        top.height = max(top.height, height)
        if isinstance(top.container, Sequence):
            top.container.items.append(node)
        elif top.awaiting:
            top.awaiting = False
            self._key_of(top, node)
        else:
            top.awaiting = True
            if not top.drop:
                top.container.entries[top.key] = node
                top.container.lines[top.key] = top.key_line

    def _key_of(self, top: _Open, node: Node) -> None:
        top.drop = True
        if not isinstance(node, Scalar) or not isinstance(top.container, Mapping):
            self._wrong(node.line, "a key must be text", "write a word before the colon")
            return
        top.key, top.key_line = "", node.line
        meant = looks_like(node.text) if node.plain else ""
        if meant == NOTHING:
            self._wrong(node.line, "a key without a name", "write a word before the colon")
        elif meant:
            self._wrong(node.line, f"the key {node.text} reads as {meant}", _QUOTE)
        elif node.plain and node.text == "<<":
            self._wrong(node.line, "merge keys (<<) are not understood", "write the keys out")
        elif node.text in top.container.entries:
            first = top.container.lines[node.text]
            self._wrong(
                node.line, f"the key {node.text!r} is here twice", f"the first is on line {first}"
            )
        else:
            top.drop = False
            top.key = node.text

    def _refuse_tag(self, event: Any) -> None:
        what = f"the tag {event.tag} is not understood"
        self._wrong(event.start_mark.line + 1, what, "remove it; text in quotes needs none")

    def _wrong(self, line: int, what: str, mend: str) -> None:
        self._mistakes.add(line, self._key(), what, mend)

    def _stop(self, event: Any, what: str, mend: str) -> None:
        self._wrong(event.start_mark.line + 1, what, mend)
        raise _Stop

    def _key(self) -> str:
        """The path to where the builder stands, like ``wizards.ezra.files[0]``."""
        return "".join(self._steps()).lstrip(".")

    def _steps(self) -> Iterator[str]:
        for place in self._stack:
            if isinstance(place.container, Sequence):
                yield f"[{len(place.container.items)}]"
            elif place.key:
                yield f".{place.key}"
