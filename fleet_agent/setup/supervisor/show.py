"""What `systemctl show` and `systemctl status` say of a unit. Reads, never changes."""

from __future__ import annotations

import os
from typing import Final

from fleet_agent.setup.supervisor.house import House, Member
from fleet_agent.setup.supervisor.journal import stamp
from fleet_agent.setup.supervisor.listening import Listening
from fleet_agent.setup.supervisor.service import Service
from fleet_agent.setup.supervisor.unitfile import Unit

_EXITED: Final = "1"
_KILLED: Final = "2"
STATUS_LINES: Final = 10


def properties(house: House, name: str) -> dict[str, str]:
    """The properties of ``name`` that are known here, as systemctl prints them."""
    member = house.members.get(name)
    unit = member.unit if member is not None else house.unit(name)
    found = {
        "Id": name,
        "Names": name,
        "LoadState": "loaded" if unit is not None else "not-found",
        "ActiveState": member.active if member is not None else "inactive",
        "SubState": member.sub if member is not None else "dead",
        "Result": member.result if member is not None else "success",
        "UnitFileState": house.enabled(name),
        "NeedDaemonReload": "yes" if _stale(house, name, member) else "no",
        "StateChangeTimestamp": stamp(member.changed_at if member is not None else 0),
    }
    if unit is not None:
        found["Description"] = unit.last("Unit", "Description", name)
        found["FragmentPath"] = unit.paths[0] if unit.paths else ""
        found["DropInPaths"] = " ".join(unit.paths[1:])
    if name.endswith(".service"):
        found.update(_of_service(member if isinstance(member, Service) else None, unit))
    if isinstance(member, Listening):
        found["Triggers"] = member.service
        found["Listen"] = " ".join(member.unit.all("Socket", "ListenStream"))
    return found


def _stale(house: House, name: str, member: Member | None) -> bool:
    return member is not None and bool(member.unit.paths) and house.unit(name) != member.unit


def _of_service(service: Service | None, unit: Unit | None) -> dict[str, str]:
    run = service.run if service is not None else None
    code = run.exit if run is not None else None
    return {
        "Type": unit.last("Service", "Type", "simple") if unit is not None else "",
        "MainPID": str(run.pid if run is not None else 0),
        "ExecMainPID": str(run.main.pid if run is not None and run.main is not None else 0),
        "ExecMainCode": "0" if code is None else _EXITED if code >= 0 else _KILLED,
        "ExecMainStatus": str(abs(code or 0)),
        "ExecMainStartTimestamp": stamp(run.started_at if run is not None else 0),
        "ExecMainStartTimestampMonotonic": _micros(run.started_since_boot if run else 0),
        "ExecMainExitTimestamp": stamp(run.exited_at if run is not None else 0),
        "ActiveEnterTimestamp": stamp(service.active_since if service is not None else 0),
        "ActiveEnterTimestampMonotonic": _micros(service.active_since_boot if service else 0),
        "InvocationID": service.invocation if service is not None else "",
        "NRestarts": str(service.restarts if service is not None else 0),
        "StatusText": service.status_text if service is not None else "",
    }


def _micros(seconds: float) -> str:
    return str(int(seconds * 1_000_000))


def status(house: House, name: str, lines_wanted: int = STATUS_LINES) -> str:
    """A unit as a person wants to see it, with what it said since its newest start."""
    found = properties(house, name)
    lines = [
        f"{name} - {found.get('Description', '')}",
        f"     Loaded: {found['LoadState']} ({found.get('FragmentPath', '')}; "
        f"{found['UnitFileState']})",
        f"     Active: {found['ActiveState']} ({found['SubState']}) since "
        f"{found['StateChangeTimestamp']}",
    ]
    if found.get("MainPID", "0") != "0":
        lines.append(f"   Main PID: {found['MainPID']}")
    return "\n".join([*lines, "", *house.journal.tail(name, lines_wanted, newest=True)]) + "\n"


def listing(house: House) -> str:
    """All units that have a file or are known, one a line."""
    names = set(house.members)
    names.update(
        name
        for name in os.listdir(house.place.units)
        if name.endswith((".service", ".socket", ".timer")) and "@." not in name
    )
    rows = [properties(house, name) for name in sorted(names)]
    return "".join(
        f"{row['Id']:<40} {row['LoadState']:<10} {row['ActiveState']:<12} {row['SubState']:<14} "
        f"{row.get('Description', '')}\n"
        for row in rows
    )
