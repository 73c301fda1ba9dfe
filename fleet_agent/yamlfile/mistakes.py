"""Mistakes in a file: collected while reading goes on, so that one run shows all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from fleet_agent.errors import ConfigError
from fleet_agent.limits import Limits

_LONGEST: Final = 300  # characters of one part of a mistake


class Mistake(NamedTuple):
    """One mistake. ``line`` 0 is the file as a whole; ``key`` is a path like a.b[0]."""

    file: str
    line: int
    key: str
    what: str
    mend: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        key = f" {self.key}:" if self.key else ":" if not self.line else ""
        mend = f" ({self.mend})" if self.mend else ""
        return f"{where}{key} {self.what}{mend}"


class MistakesError(ConfigError):
    """A file with mistakes: ``mistakes`` has each of them, in the order of the lines."""

    def __init__(self, what: str, mistakes: tuple[Mistake, ...] = ()) -> None:
        super().__init__(what)
        self.mistakes = mistakes

    def __str__(self) -> str:
        return "; ".join([self.what, *(str(mistake) for mistake in self.mistakes)])


class Mistakes:
    """The mistakes of one file so far. Over ``yaml_mistakes`` they are only counted."""

    def __init__(self, file: str, limits: Limits) -> None:
        self.file = file
        self.limits = limits
        self.count = 0
        self._most = limits.whole("yaml_mistakes")
        self._kept: list[Mistake] = []

    def add(self, line: int, key: str, what: str, mend: str) -> None:
        """Note one mistake, and how to mend it."""
        self.count += 1
        if self.count <= self._most:
            self._kept.append(Mistake(self.file, line, _plain(key), _plain(what), _plain(mend)))

    @property
    def full(self) -> bool:
        """No more are kept: dear advice (near misses) isn't worth its time any longer."""
        return self.count >= self._most

    def all(self) -> tuple[Mistake, ...]:
        """Those kept, in the order of the lines; a last one counts the others."""
        ordered = sorted(self._kept, key=lambda mistake: mistake.line)
        if self.count > len(ordered):
            rest = f"{self.count - len(ordered)} more mistakes like these"
            ordered.append(Mistake(self.file, 0, "", rest, "mend the ones above first"))
        return tuple(ordered)


def _plain(text: str) -> str:
    """``text`` fit for a terminal and a log: what the file's author chose may steer or flood it."""
    short = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in short)


def near(word: str, known: Iterable[str]) -> str:
    """The word of ``known`` that ``word`` was probably meant to be, or an empty string."""
    import difflib

    found = difflib.get_close_matches(word[:64].lower(), list(known), 1, 0.6)
    return found[0] if found else ""
