"""The words of systemctl and journalctl, answered for one node."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from fleet_agent.errors import FleetError
from fleet_agent.setup.supervisor import show
from fleet_agent.setup.supervisor.execution import UnitFailedError
from fleet_agent.setup.supervisor.house import House, NoUnitError
from fleet_agent.setup.supervisor.service import Service

# Exit codes of systemctl(1), after the LSB.
_INACTIVE: Final = 3
_NOT_FOUND: Final = 5
_ALL_LINES: Final = 1000
_TAKES_VALUE: Final = {
    "-p": "property", "--property": "property", "-s": "signal", "--signal": "signal",
    "-u": "unit", "--unit": "unit", "-n": "lines", "--lines": "lines", "-o": "output",
    "--output": "output", "-M": "machine", "--machine": "machine", "--since": "since",
    "-t": "type", "--type": "type", "--kill-whom": "whom", "--kill-who": "whom",
    "--state": "state", "--job-mode": "mode",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program says and ends with."""

    code: int = 0
    out: str = ""
    err: str = ""


@dataclass(slots=True)
class Words:
    """A command line taken apart: values of options, bare options, and the rest in order."""

    values: dict[str, list[str]] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    rest: list[str] = field(default_factory=list)

    def last(self, name: str, default: str) -> str:
        """The last value of option ``name``."""
        return self.values.get(name, [default])[-1]


def words_of(argv: Sequence[str]) -> Words:
    """Take ``argv`` apart. UnitFailedError for an option without its value."""
    found = Words()
    waiting = iter(argv)
    for word in waiting:
        name, equals, value = word.partition("=")
        if word == "--":
            found.rest += list(waiting)
        elif not word.startswith("-") or word == "-":
            found.rest.append(word)
        elif name in _TAKES_VALUE:
            if not equals:
                value = next(waiting, "")
                if not value:
                    raise UnitFailedError(f"option {name} needs a value")
            found.values.setdefault(_TAKES_VALUE[name], []).append(value)
        elif word[:2] in _TAKES_VALUE and not word.startswith("--"):  # -n20
            found.values.setdefault(_TAKES_VALUE[word[:2]], []).append(word[2:])
        else:
            found.flags.add(word)
    return found


def full_name(name: str) -> str:
    """A unit's name with its kind; without one a service is meant."""
    kinds = (".service", ".socket", ".timer", ".target", ".slice", ".mount", ".path")
    return name if name.endswith(kinds) else f"{name}.service"


async def systemctl(house: House, argv: Sequence[str]) -> Answer:
    """Answer ``systemctl ARGV``; waits as systemctl does."""
    try:
        words = words_of(argv)
        verb = words.rest[0] if words.rest else "list-units"
        names = [full_name(name) for name in words.rest[1:]]
        return await _verb(house, verb, names, words)
    except NoUnitError as error:
        return Answer(_NOT_FOUND, err=f"{error}\n")
    except FleetError as error:
        return Answer(1, err=f"{error}\n")


async def _verb(house: House, verb: str, names: list[str], words: Words) -> Answer:
    if verb == "show":
        return _show(house, names, words)
    if verb in {"is-active", "is-failed", "is-enabled"}:
        return _is(house, verb, names, words)
    if verb == "status":
        count = _count(words, show.STATUS_LINES)
        text = "\n".join(show.status(house, name, count) for name in names)
        active = all(show.properties(house, name)["ActiveState"] == "active" for name in names)
        return Answer(0 if active else _INACTIVE, text)
    if verb in {"list-units", "list-unit-files", "list"}:
        return Answer(out=show.listing(house))
    if verb == "cat":
        return _cat(house, names)
    if verb == "daemon-reload":
        house.reload()
        return Answer()
    if verb == "is-system-running":
        failed = any(member.active == "failed" for member in house.members.values())
        return Answer(1 if failed else 0, "degraded\n" if failed else "running\n")
    if verb == "reset-failed":
        for name in names or list(house.members):
            member = house.members.get(name)
            if isinstance(member, Service):
                member.reset_failed()
        return Answer()
    if not names:
        return Answer(1, err="Too few arguments.\n")
    for name in names:
        await _change(house, verb, name, words)
    return Answer()


async def _change(house: House, verb: str, name: str, words: Words) -> None:
    if verb in {"enable", "disable"}:
        house.enable(name, verb == "enable")
        if "--now" not in words.flags:
            return
        verb = "start" if verb == "enable" else "stop"
    member = house.members.get(name)
    if verb == "kill":
        if isinstance(member, Service) and member.run.main is not None:
            member.run.main.kill(_signal(words.last("signal", "SIGTERM")))
        return
    service = member if isinstance(member, Service) else None
    running = member is not None and member.active in {"active", "activating", "reloading"}
    action = _action(verb, running, service is not None and _reloads(service))
    if not action:
        return
    if action == "reload":
        if service is None:
            raise UnitFailedError(f"{name} is not active, cannot reload.")
        work = service.reload()
    else:
        work = {"start": house.start, "stop": house.stop, "restart": house.restart}[action](name)
    if "--no-block" in words.flags:
        house.later(work)
    else:
        await work


def _action(verb: str, running: bool, reloads: bool) -> str:
    """start, stop, restart, reload or nothing: what ``verb`` means for a unit in this state."""
    if verb in {"start", "stop", "restart", "reload"}:
        return verb
    if verb == "try-restart":
        return "restart" if running else ""
    if verb in {"reload-or-restart", "try-reload-or-restart"}:
        if running:
            return "reload" if reloads else "restart"
        return "restart" if verb == "reload-or-restart" else ""
    raise UnitFailedError(f"Unknown command verb {verb}.")


def _reloads(service: Service) -> bool:
    unit = service.unit
    return bool(unit.all("Service", "ExecReload")) or (
        unit.last("Service", "Type") == "notify-reload"
    )


def _signal(name: str) -> int:
    return int(name) if name.isdigit() else signal.Signals["SIG" + name.removeprefix("SIG")]


def _show(house: House, names: list[str], words: Words) -> Answer:
    wanted = [one for value in words.values.get("property", []) for one in value.split(",")]
    blocks = []
    for name in names:
        known = show.properties(house, name)
        chosen = {key: known[key] for key in wanted if key in known} if wanted else known
        bare = "--value" in words.flags
        blocks.append(
            "".join(f"{value}\n" if bare else f"{key}={value}\n" for key, value in chosen.items())
        )
    return Answer(out="\n".join(blocks))


def _is(house: House, verb: str, names: list[str], words: Words) -> Answer:
    key = "UnitFileState" if verb == "is-enabled" else "ActiveState"
    states = [show.properties(house, name)[key] for name in names]
    good = {
        "is-active": {"active", "reloading"},
        "is-failed": {"failed"},
        "is-enabled": {"enabled", "static"},
    }[verb]
    quiet = "-q" in words.flags or "--quiet" in words.flags
    bad_code = 1 if verb in {"is-enabled", "is-failed"} else _INACTIVE
    return Answer(
        0 if any(state in good for state in states) else bad_code,
        "" if quiet else "".join(f"{state or 'not-found'}\n" for state in states),
    )


def _cat(house: House, names: list[str]) -> Answer:
    parts = []
    for name in names:
        unit = house.unit(name)
        if unit is None:
            return Answer(1, err=f"No files found for {name}.\n")
        for path in unit.paths:
            with open(path, encoding="utf-8") as source:
                parts.append(f"# {path}\n{source.read()}")
    return Answer(out="\n".join(parts))


def _count(words: Words, default: int) -> int:
    wanted = words.last("lines", str(default))
    return int(wanted) if wanted.isdigit() else _ALL_LINES


def journalctl(house: House, argv: Sequence[str]) -> Answer:
    """Answer ``journalctl -u UNIT… [-n N]``: the last lines, as with ``-o cat``."""
    try:
        words = words_of(argv)
    except FleetError as error:
        return Answer(1, err=f"{error}\n")
    count = _count(words, _ALL_LINES)
    lines = [
        line
        for name in words.values.get("unit", [])
        for line in house.journal.tail(full_name(name), count)
    ]
    return Answer(out="".join(f"{line}\n" for line in lines))
