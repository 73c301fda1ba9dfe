"""Unit files as values: sections, drop-ins, specifiers and time spans, read as systemd reads them.

Pure but for ``load``. Only what units of fleet-agent say is understood. Source: systemd.unit(5),
systemd.syntax(7), systemd.time(7).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fleet_agent.errors import ConfigError

_SECTION: Final = re.compile(r"\[([^\]]+)\]")
_SPAN: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)")
_SECONDS_OF: Final[Mapping[str, float]] = {
    "": 1, "s": 1, "sec": 1, "second": 1, "seconds": 1, "ms": 0.001, "msec": 0.001, "us": 0.000001,
    "min": 60, "m": 60, "minute": 60, "minutes": 60, "h": 3600, "hr": 3600, "hour": 3600,
    "hours": 3600, "d": 86400, "day": 86400, "days": 86400,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setting:
    """One assignment of a unit file."""

    section: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit with its drop-ins: ``paths`` are the files that it was made of, the main one first."""

    name: str
    settings: tuple[Setting, ...]
    paths: tuple[str, ...]

    def all(self, section: str, key: str) -> tuple[str, ...]:
        """Every value of ``key``, specifiers resolved; an empty assignment drops those before."""
        values: list[str] = []
        for setting in self.settings:
            if setting.section == section and setting.key == key:
                if setting.value:
                    values.append(resolve(setting.value, self.name))
                else:
                    values.clear()
        return tuple(values)

    def last(self, section: str, key: str, default: str = "") -> str:
        """The value of ``key`` that counts where only one can."""
        values = self.all(section, key)
        return values[-1] if values else default

    def names(self, section: str, key: str) -> tuple[str, ...]:
        """A list of names (units, directories), over all assignments, in order."""
        return tuple(word for value in self.all(section, key) for word in value.split())

    def span(self, section: str, key: str, default: float) -> float:
        """A time span in seconds. ConfigError when it is none."""
        value = self.last(section, key)
        return seconds(value, f"{self.name}: {key}") if value else default


def parse(text: str, where: str) -> tuple[Setting, ...]:
    """The assignments of one file, in order. ConfigError for a line that is none of them."""
    settings: list[Setting] = []
    section = ""
    number = 0
    for number, line in _logical_lines(text):
        if opened := _SECTION.fullmatch(line):
            section = opened[1]
            continue
        key, separator, value = line.partition("=")
        if not separator or not section:
            raise ConfigError("is no assignment below a section", where=f"{where}:{number}")
        settings.append(Setting(section, key.strip(), value.strip()))
    return tuple(settings)


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines without comments and blanks, continued ones joined, each with its first number."""
    lines: list[tuple[int, str]] = []
    held: tuple[int, str] | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line.startswith(("#", ";")) or (not line and held is None):
            continue
        first, before = held or (number, "")
        if line.endswith("\\"):
            held = (first, before + line[:-1].rstrip() + " ")
            continue
        lines.append((first, before + line))
        held = None
    if held is not None:
        lines.append(held)
    return lines


def load(directory: str, name: str) -> Unit | None:
    """The unit ``name`` with its drop-ins from ``directory``; None where it has no file.

    Raises ConfigError when a file of it can't be understood.
    """
    sources = [candidate for candidate in (name, template_of(name)) if candidate]
    main = next((path for path in _below(directory, sources) if os.path.isfile(path)), None)
    if main is None:
        return None
    paths = [main]
    for folder in _below(directory, [f"{source}.d" for source in reversed(sources)]):
        if os.path.isdir(folder):
            paths += [
                os.path.join(folder, file)
                for file in sorted(os.listdir(folder))
                if file.endswith(".conf")
            ]
    settings: list[Setting] = []
    for path in paths:
        with open(path, encoding="utf-8") as source:
            settings += parse(source.read(), path)
    return Unit(name, tuple(settings), tuple(paths))


def _below(directory: str, names: list[str]) -> list[str]:
    return [os.path.join(directory, name) for name in names]


def template_of(name: str) -> str:
    """``a@.service`` for ``a@b.service``, an empty string for a unit that is no instance."""
    stem, kind = os.path.splitext(name)
    prefix, at, _ = stem.partition("@")
    return f"{prefix}@{kind}" if at else ""


def instance_of(name: str) -> str:
    """``b`` for ``a@b.service``."""
    return os.path.splitext(name)[0].partition("@")[2]


def resolve(value: str, name: str) -> str:
    """``value`` with the specifiers of unit ``name`` replaced."""
    stem = os.path.splitext(name)[0]
    known = {
        "%": "%", "i": instance_of(name), "I": instance_of(name).replace("-", "/"),
        "n": name, "N": stem, "p": stem.partition("@")[0],
        "t": "/run", "S": "/var/lib", "E": "/etc", "C": "/var/cache", "L": "/var/log",
        "h": os.path.expanduser("~"),
    }  # fmt: skip
    return re.sub(r"%(.)", lambda found: known.get(found[1], found[0]), value)


def seconds(text: str, where: str) -> float:
    """A time span such as ``90``, ``100ms`` or ``1min 30s`` in seconds."""
    if text == "infinity":
        return float("inf")
    parts = _SPAN.findall(text)
    if (
        not parts
        or _SPAN.sub("", text).strip()
        or any(unit not in _SECONDS_OF for _, unit in parts)
    ):
        raise ConfigError(f"is no time span: {text!r}", where=where)
    return sum(float(number) * _SECONDS_OF[unit] for number, unit in parts)
