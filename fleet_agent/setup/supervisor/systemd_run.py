"""The words of systemd-run: transient services, waited for or not, and timers that start them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fleet_agent.errors import FleetError
from fleet_agent.release.unitfile import exec_line
from fleet_agent.setup.supervisor.execution import Stdio, UnitFailedError
from fleet_agent.setup.supervisor.house import House
from fleet_agent.setup.supervisor.service import Service
from fleet_agent.setup.supervisor.systemctl import Answer
from fleet_agent.setup.supervisor.timer import Timer

_TAKES_VALUE: Final = frozenset({
    "--unit", "-u", "--property", "-p", "--on-active", "--timer-property", "--description",
    "--service-type", "--setenv", "-E", "--working-directory", "--uid", "--gid", "--slice",
    "--nice", "--machine", "-M",
})  # fmt: skip
# Properties about users and sandboxes have no meaning in a folder of one user.
_SECTION_OF: Final = {"StartLimitIntervalSec": "Unit", "StartLimitBurst": "Unit"}


@dataclass(frozen=True, slots=True)
class Order:
    """What a systemd-run line asks for."""

    name: str
    argv: tuple[str, ...]
    settings: tuple[tuple[str, str, str], ...]
    on_active: str = ""
    pipe: bool = False
    wait: bool = False
    no_block: bool = False


def order_of(argv: Sequence[str]) -> Order:
    """Take a systemd-run line apart. UnitFailedError when it asks for nothing to run."""
    options: list[tuple[str, str]] = []
    flags: set[str] = set()
    words = list(argv)
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if name in _TAKES_VALUE:
            if not equals:
                value = words.pop(0) if words else ""
            options.append((name, value))
        else:
            flags.add(word)
    if not words:
        raise UnitFailedError("Command line to execute required.")
    named = [value for name, value in options if name in {"--unit", "-u"}]
    stem = named[-1] if named else f"run-{uuid.uuid4().hex[:12]}"
    on_active = [value for name, value in options if name == "--on-active"]
    return Order(
        name=os.path.splitext(stem)[0] if stem.endswith((".service", ".timer")) else stem,
        argv=tuple(words),
        settings=(*_settings(options), ("Service", "ExecStart", exec_line(words))),
        on_active=on_active[-1] if on_active else "",
        pipe="--pipe" in flags or "-P" in flags,
        wait="--wait" in flags,
        no_block="--no-block" in flags,
    )


def _settings(options: Sequence[tuple[str, str]]) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    for name, value in options:
        if name in {"--property", "-p"}:
            key, _, text = value.partition("=")
            found.append((_SECTION_OF.get(key, "Service"), key, text))
        elif name == "--service-type":
            found.append(("Service", "Type", value))
        elif name in {"--setenv", "-E"}:
            found.append(("Service", "Environment", exec_line([value]).removeprefix(":")))
        elif name == "--working-directory":
            found.append(("Service", "WorkingDirectory", value))
        elif name == "--description":
            found.append(("Unit", "Description", value))
    return found


async def systemd_run(house: House, argv: Sequence[str], stdio: Stdio) -> Answer:
    """Answer ``systemd-run ARGV``; with ``--wait`` or ``--pipe`` the exit code is the command's."""
    try:
        order = order_of(argv)
        if order.on_active:
            return _timer(house, order)
        name = f"{order.name}.service"
        service = house.transient(name, order.settings, stdio if order.pipe else None)
        if not isinstance(service, Service):
            raise UnitFailedError(f"{name} is no service")
        if order.no_block:
            house.later(service.start())
            return Answer(err=f"Running as unit: {name}\n")
        if not (order.wait or order.pipe):
            await service.start()
            return Answer(err=f"Running as unit: {name}\n")
        return await _to_its_end(service)
    except FleetError as error:
        return Answer(1, err=f"{error}\n")


async def _to_its_end(service: Service) -> Answer:
    try:
        await service.start()
    except UnitFailedError:
        if service.run.exit is None:
            raise
    await service.finished()
    code = service.run.exit
    if code is None:
        return Answer(1, err=f"{service.unit.name} could not be run (Result={service.result}).\n")
    return Answer(code if code >= 0 else 128 - code)


def _timer(house: House, order: Order) -> Answer:
    timer, service = f"{order.name}.timer", f"{order.name}.service"
    house.transient(service, order.settings)
    made = house.transient(timer, [("Timer", "OnActiveSec", order.on_active)])
    if not isinstance(made, Timer):
        raise UnitFailedError(f"{timer} is no timer")
    made.start()
    return Answer(err=f"Running timer as unit: {timer}\nWill run service as unit: {service}\n")
