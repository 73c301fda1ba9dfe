"""Reads a JSON object key by key and collects what is wrong, so that one run shows all of it.

Pure. Not for what the keys mean (``settings``), nor for lines of a file: who knows them adds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from fleet_agent import limits
from fleet_agent.errors import ConfigError
from fleet_agent.limits import BY_NAME, Limits

_MOST_SHOWN = 60  # characters of what somebody wrote


class Wrong(NamedTuple):
    """One mistake at ``path`` (``listen.port``; empty: the whole), and how to mend it."""

    path: str
    what: str
    mend: str


class Object:
    """A JSON object whose keys are asked for with their types.

    Every reader returns the default after a mistake, which is in ``wrongs`` then, and reading
    goes on.
    """

    def __init__(self, value: object, path: str = "", wrongs: list[Wrong] | None = None) -> None:
        self._path = path
        self.wrongs: list[Wrong] = [] if wrongs is None else wrongs
        self._value: Mapping[str, Any] = {}
        if isinstance(value, Mapping):
            self._value = value
        else:
            self.wrong("", f"must be a mapping, is {_shown(value)}", "write it as {key: value}")

    def wrong(self, key: str, what: str, mend: str) -> None:
        """Note a mistake at ``key``."""
        self.wrongs.append(Wrong(self._at(key), what, mend))

    def only(self, known: Iterable[str]) -> None:
        """Every other key is a mistake."""
        for key in self._value:
            if key not in known:
                self.wrong(key, "unknown key", _advice(key, known, "known here"))

    def text(self, key: str, default: str | None = None) -> str:
        """The text at ``key``; without a default it must be there."""
        value = self._value.get(key, default)
        if value is None:
            self.wrong(key, "is missing", f"say {key}: …")
        elif not isinstance(value, str):
            self.wrong(key, f"must be a text, is {_shown(value)}", "put it in quotes")
        elif not value or "\0" in value:
            self.wrong(key, f"must be a text, is {_shown(value)}", "write a value, or remove it")
        else:
            return value
        return default or ""

    def text_or_none(self, key: str) -> str | None:
        """The text at ``key``, None where it is absent or null."""
        return None if self._value.get(key) is None else self.text(key) or None

    def texts(self, key: str) -> tuple[str, ...]:
        """The list of texts at ``key``; empty where it is absent."""
        value = self._value.get(key, [])
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(value)
        self.wrong(key, f"must be a list of texts, is {_shown(value)}", "write it as [one, two]")
        return ()

    def port(self, key: str, default: int) -> int:
        """A TCP port; 0 lets the kernel choose."""
        value = self._value.get(key, default)
        if not isinstance(value, bool) and isinstance(value, int) and 0 <= value <= 65535:
            return value
        what = f"must be a port, 0 to 65535, is {_shown(value)}"
        self.wrong(key, what, "digits alone; 0 takes a free one")
        return default

    def word(self, key: str, words: Sequence[str], default: str) -> str:
        """One of ``words``."""
        value = self._value.get(key, default)
        if value in words:
            return str(value)
        what = f"must be {' or '.join(words)}, is {_shown(value)}"
        self.wrong(key, what, _advice(value, words, "choose one of"))
        return default

    def flag(self, key: str) -> bool:
        """true or false; false where it is absent."""
        value = self._value.get(key, False)
        if isinstance(value, bool):
            return value
        self.wrong(key, f"must be true or false, is {_shown(value)}", "write one of them")
        return False

    def limits(self, key: str, scope: str) -> Limits:
        """The defaults with those of ``key``, which must be of ``scope``, in their places."""
        found = self.inner(key)
        changed = {} if found is None else found._limits(scope)
        return Limits(changed)

    def inner(self, key: str) -> Object | None:
        """The object at ``key``, None where it is absent or null."""
        value = self._value.get(key)
        return None if value is None else Object(value, self._at(key), self.wrongs)

    def _limits(self, scope: str) -> dict[str, float]:
        changed: dict[str, float] = {}
        for name, value in self._value.items():
            if name not in BY_NAME:
                known = [one for one, limit in BY_NAME.items() if limit.scope == scope]
                near = _near(name, known)
                mend = f"did you mean {near!r}?" if near else "docs/limits.md has all of them"
                self.wrong(name, "unknown limit", mend)
            elif BY_NAME[name].scope != scope:
                mend = "remove it; in a fleet it belongs under `deploy:` of fleet.yaml"
                self.wrong(name, f"is no limit of a {scope}", mend)
            else:
                try:
                    changed[name] = limits.check(name, value)
                except ConfigError as error:
                    self.wrong(name, error.what, BY_NAME[name].help)
        return changed

    def _at(self, key: str) -> str:
        shown = str(key)[:_MOST_SHOWN]
        return f"{self._path}.{shown}" if self._path and shown else self._path or shown


def _shown(value: object) -> str:
    return ascii(value)[:_MOST_SHOWN]


def _advice(word: object, known: Iterable[str], else_: str) -> str:
    near = _near(word, known)
    return f"did you mean {near!r}?" if near else f"{else_}: {', '.join(known)}"


def _near(word: object, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # only where there is a mistake: a daemon starts fast

    found = get_close_matches(str(word)[:_MOST_SHOWN].lower(), list(known), 1, 0.6)
    return found[0] if found else ""
