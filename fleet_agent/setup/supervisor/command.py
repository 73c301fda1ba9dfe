"""Commands of a unit as argument lists, their paths moved below the node's folder. Pure.

Source: systemd.service(5), "Command lines". Nothing here makes a sandbox or another user.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fleet_agent.errors import ConfigError

# What a node of fleet-agent writes to; everything else (/usr, /bin, /tmp) is this machine's own.
_OURS: Final = re.compile(
    r"(?<![\w.\-/])/(?:opt/fleet-agent|etc/fleet-agent|etc/systemd|var/lib|var/log|run)(?=[/:,\s]|$)"
)
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+)|(\$))")
_PREFIXES: Final = "-@:+!"
_TOKEN: Final = re.compile(r"(\\x[0-9a-fA-F]{2}|\\.)|(.)", re.DOTALL)
_ESCAPES: Final = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "s": " ",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
}


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a unit. ``may_fail``: its exit code does not matter (prefix ``-``)."""

    argv: tuple[str, ...]
    may_fail: bool = False


def moved(text: str, root: str) -> str:
    """``text`` with each path of a node moved below ``root``; one that is there already stays."""
    if root == "/":
        return text
    return _OURS.sub(lambda found: root + found[0], text)


def command(line: str, env: Mapping[str, str], root: str, where: str) -> Command:
    """The command of an ``Exec…=`` line. ConfigError when its quotes don't match or it is empty."""
    bare = line.lstrip(_PREFIXES)
    prefixes = line[: len(line) - len(bare)]
    words = split(bare, where)
    if not words:
        raise ConfigError("is an empty command", where=where)
    argv: list[str] = []
    for word in words:
        if ":" in prefixes:  # no variables in this one
            argv.append(word)
        elif re.fullmatch(r"\$\w+", word):  # a variable alone becomes as many words as it has
            argv += env.get(word[1:], "").split()
        else:
            argv.append(_VARIABLE.sub(lambda found: _value(found, env), word))
    argv = [moved(word, root) for word in argv]
    if root != "/" and argv[0] == "/usr/bin/python3":
        argv[0] = sys.executable
    return Command(tuple(argv), may_fail="-" in prefixes)


def split(text: str, where: str) -> list[str]:
    """Words in systemd's quoting: quotes around a part, C escapes in and outside of them.

    ConfigError when a quote is not closed.
    """
    words: list[str] = []
    word, quote, begun = "", "", False
    for escape, char in _TOKEN.findall(text):
        if escape:
            word, begun = word + _unescaped(escape), True
        elif quote:
            quote, word = ("", word) if char == quote else (quote, word + char)
        elif char in "\"'":
            quote, begun = char, True
        elif char.isspace():
            if begun:
                words.append(word)
            word, begun = "", False
        else:
            word, begun = word + char, True
    if quote:
        raise ConfigError("has a quote that is not closed", where=where)
    return [*words, word] if begun else words


def _unescaped(escape: str) -> str:
    if escape[1] == "x":
        return chr(int(escape[2:], 16))
    return _ESCAPES.get(escape[1], escape[1])


def _value(found: re.Match[str], env: Mapping[str, str]) -> str:
    if found[3]:
        return "$"
    return env.get(found[1] or found[2], "")


def assignments(value: str, where: str) -> dict[str, str]:
    """The ``A=b`` words of an ``Environment=`` line."""
    pairs = (word.partition("=") for word in split(value, where))
    return {name: text for name, equals, text in pairs if equals}


def environment_file(path: str, root: str) -> dict[str, str]:
    """The assignments of an ``EnvironmentFile=``; with a leading ``-`` it may be absent."""
    optional = path.startswith("-")
    path = moved(path.lstrip("-"), root)
    if optional and not os.path.exists(path):
        return {}
    try:
        with open(path, encoding="utf-8") as source:
            lines = [line.strip() for line in source]
    except OSError as error:
        raise ConfigError(f"can't be read: {error.strerror}", where=path) from error
    found: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(("#", ";")):
            found.update(assignments(line, path))
    return found
