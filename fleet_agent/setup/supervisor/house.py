"""All units of one node: found, started with what they need, stopped with what needs them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine, Iterable
from typing import Any, Final

from fleet_agent.errors import ConfigError
from fleet_agent.setup.supervisor import states
from fleet_agent.setup.supervisor.execution import UnitFailedError
from fleet_agent.setup.supervisor.journal import Journal
from fleet_agent.setup.supervisor.listening import Listening
from fleet_agent.setup.supervisor.place import Place
from fleet_agent.setup.supervisor.service import Service
from fleet_agent.setup.supervisor.unitfile import Unit, load

_log: Final = logging.getLogger("fleet_agent.setup")
_BOOT_TARGETS: Final = ("sysinit.target", "sockets.target", "timers.target", "multi-user.target")

Member = Service | Listening


class NoUnitError(ConfigError):
    """There is no unit of that name."""

    title = "no such unit"


class House:
    """The units of one node. Everything that waits is a coroutine of one event loop."""

    def __init__(self, place: Place, journal: Journal) -> None:
        self.place = place
        self.journal = journal
        self.members: dict[str, Member] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        os.makedirs(place.units, exist_ok=True)

    # Finding

    def unit(self, name: str) -> Unit | None:
        """The unit ``name`` as its files say now. ConfigError when they can't be understood."""
        return load(self.place.units, name)

    def member(self, name: str) -> Member:
        """The unit ``name``, loaded when it was not. NoUnitError when it has no file."""
        known = self.members.get(name)
        if known is not None and known.active not in {"inactive", "failed"}:
            return known
        unit = self.unit(name)
        if unit is None:
            if known is not None:
                return known
            raise NoUnitError(f"Unit {name} could not be found.")
        if known is not None:
            known.unit = unit
            return known
        made = self._made(unit)
        self.members[name] = made
        return made

    def _made(self, unit: Unit) -> Member:
        kind = os.path.splitext(unit.name)[1]
        if kind == ".socket":
            return Listening(unit, self.place, lambda: self._activated(unit.name))
        if kind == ".service":
            return self._service(unit)
        raise ConfigError("units of this kind are not known to the demo", where=unit.name)

    def _service(self, unit: Unit) -> Service:
        return Service(
            unit,
            self.place,
            self.journal,
            sockets=lambda: self._sockets_of(unit.name),
            ended=lambda: self._came_to_rest(unit.name),
        )

    def reload(self) -> None:
        """Read the files of all units anew (daemon-reload)."""
        for name, member in list(self.members.items()):
            unit = self.unit(name)
            if unit is not None:
                member.unit = unit
            elif member.active == "inactive":
                del self.members[name]

    def _sockets_of(self, service: str) -> list[tuple[int, str]]:
        return [
            descriptor
            for socket in self._listening_for(service)
            for descriptor in socket.descriptors
        ]

    def _listening_for(self, service: str) -> list[Listening]:
        return [
            member
            for member in self.members.values()
            if isinstance(member, Listening)
            and member.service == service
            and member.active == "active"
        ]

    # Starting and stopping

    async def start(self, name: str) -> None:
        """Start ``name`` with what it needs. UnitFailedError or ConfigError when it can't."""
        if name.endswith(".target"):
            return
        member = self.member(name)
        for other in self._needs(member.unit, ("Requires", "BindsTo", "Wants", "Sockets")):
            try:
                await self.start(other)
            except (UnitFailedError, ConfigError) as error:
                if other not in self._needs(member.unit, ("Wants",)):
                    raise UnitFailedError(
                        f"A dependency job for {name} failed: {error}", where=other
                    ) from error
        if isinstance(member, Listening):
            self._listen(member)
        else:
            await self._run(member)

    def _needs(self, unit: Unit, keys: Iterable[str]) -> list[str]:
        """The units of this node that ``unit`` names under ``keys``; this machine's own are not."""
        found: dict[str, None] = {}
        for key in keys:
            section = "Service" if key == "Sockets" else "Unit"
            for name in unit.names(section, key):
                if name != unit.name and not name.endswith((".target", ".slice")):
                    known = name in self.members or load(self.place.units, name) is not None
                    if known:
                        found[name] = None
        return list(found)

    def _listen(self, socket: Listening) -> None:
        if socket.active == "active":
            return
        service = self.members.get(socket.service)
        if service is not None and service.active == "active":
            raise UnitFailedError(
                f"Socket service {socket.service} already active, refusing.",
                where=socket.unit.name,
            )
        try:
            socket.listen()
        except OSError as error:
            self.journal.say(socket.unit.name, f"{socket.unit.name}: {error}")
            raise UnitFailedError(
                f"Job for {socket.unit.name} failed: {error.strerror}.", where=socket.unit.name
            ) from error
        socket.watch(True)

    async def _run(self, service: Service) -> None:
        for socket in self._listening_for(service.unit.name):
            socket.watch(False)
        await service.start()

    def _came_to_rest(self, name: str) -> None:
        """Let the sockets of a service that has ended start it again."""
        service = self.members[name]
        if service.result != states.START_LIMIT:
            for socket in self._listening_for(name):
                socket.watch(True)

    def _activated(self, name: str) -> None:
        socket = self.members[name]
        if isinstance(socket, Listening):
            socket.watch(False)
            self.later(self.start(socket.service))

    async def stop(self, name: str) -> None:
        """Stop ``name`` and what can't be without it. NoUnitError when there is none."""
        if name.endswith(".target"):
            return
        member = self.member(name)
        for other, needing in list(self.members.items()):
            bound = self._needs(needing.unit, ("Requires", "BindsTo", "PartOf"))
            if name in bound and needing.active not in {"inactive", "failed"}:
                await self.stop(other)
        if isinstance(member, Service):
            await member.stop()
        else:
            member.close()

    async def restart(self, name: str) -> None:
        """Stop and start ``name``, and what was stopped with it."""
        running = {
            other
            for other, member in self.members.items()
            if member.active in {"active", "activating"}
            and name in self._needs(member.unit, ("Requires", "BindsTo", "PartOf"))
        }
        await self.stop(name)
        await self.start(name)
        for other in sorted(running):
            await self.start(other)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for; a failure is logged."""
        task = asyncio.get_running_loop().create_task(self._logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _logged(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (UnitFailedError, ConfigError) as error:
            _log.warning("%s: %s", self.place.root, error)

    # Enabling, boot and the end

    def enable(self, name: str, wanted: bool) -> None:
        """Make or remove what starts ``name`` at boot. NoUnitError when there is none."""
        unit = self.unit(name)
        if unit is None:
            raise NoUnitError(f"Unit file {name} does not exist.")
        for link in self._links(unit):
            if os.path.lexists(link):
                os.unlink(link)
            if wanted:
                os.makedirs(os.path.dirname(link), exist_ok=True)
                os.symlink(unit.paths[0], link)
        for other in unit.names("Install", "Also"):
            if self.unit(other) is not None:
                self.enable(other, wanted)

    def _links(self, unit: Unit) -> list[str]:
        return [
            os.path.join(self.place.units, f"{target}.{kind}", unit.name)
            for key, kind in (("WantedBy", "wants"), ("RequiredBy", "requires"))
            for target in unit.names("Install", key)
        ]

    def enabled(self, name: str) -> str:
        """``enabled``, ``disabled``, ``static``, or nothing where there is no file."""
        unit = self.unit(name)
        if unit is None:
            return ""
        links = self._links(unit)
        if not links:
            return "static"
        return "enabled" if any(os.path.lexists(link) for link in links) else "disabled"

    async def boot(self) -> None:
        """Start what is enabled, in the order of the targets."""
        for target in _BOOT_TARGETS:
            folder = os.path.join(self.place.units, f"{target}.wants")
            for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
                await self._logged(self.start(name))

    async def shut_down(self) -> None:
        """Stop everything: sockets first, so that nothing starts again."""
        order = sorted(self.members.values(), key=lambda member: isinstance(member, Service))
        for member in order:
            if isinstance(member, Listening):
                member.close()
        services = [member.stop() for member in order if isinstance(member, Service)]
        await asyncio.gather(*services)
