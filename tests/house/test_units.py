"""The unit files: each is placed by a release, notifies, is boxed in, and names no shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet_agent.release import build
from fleet_agent.setup.supervisor.unitfile import Unit, load
from tests.house.sources import ROOT

UNITS = sorted((ROOT / "systemd").glob("*.*"))
SERVICES = [path for path in UNITS if path.suffix == ".service"]
SOCKETS = [path for path in UNITS if path.suffix == ".socket"]
DAEMONS = [path for path in SERVICES if path.name.startswith("fleet-agent@")]


def unit_of(path: Path) -> Unit:
    unit = load(str(path.parent), path.name)
    assert unit is not None
    return unit


def name(path: Path) -> str:
    return path.name


def test_a_release_places_exactly_the_units_that_there_are() -> None:
    placed = {*build.EVERYWHERE, *build.ORCHESTRATOR_ONLY, build.WIZARD_TEMPLATE,
              *build.RUNNER_TEMPLATES}  # fmt: skip
    assert {path.name for path in UNITS} == placed


@pytest.mark.parametrize("path", SERVICES, ids=name)
def test_a_service_says_what_it_is_and_runs_no_shell(path: Path) -> None:
    unit = unit_of(path)
    assert unit.last("Unit", "Description")
    for key in ("ExecStart", "ExecStartPre", "ExecStartPost", "ExecReload", "ExecStop"):
        for line in unit.all("Service", key):
            program = line.lstrip("-@:+!").split()[0]
            assert program.startswith("/"), line
            assert program.rpartition("/")[2] not in {"sh", "bash", "dash"}, line


@pytest.mark.parametrize("path", SOCKETS, ids=name)
def test_a_socket_names_its_descriptors_and_is_one_service(path: Path) -> None:
    unit = unit_of(path)
    assert unit.last("Socket", "FileDescriptorName")
    assert unit.last("Socket", "Accept", "no") in {"no", "false"}


@pytest.mark.parametrize("path", DAEMONS, ids=name)
def test_a_daemon_is_notifying_watched_unprivileged_and_boxed_in(path: Path) -> None:
    unit = unit_of(path)
    wanted = {
        "NoNewPrivileges": "yes", "ProtectSystem": "strict", "PrivateTmp": "yes",
        "ProtectHome": None, "RestrictAddressFamilies": None, "SystemCallFilter": None,
        "CapabilityBoundingSet": None, "MemoryDenyWriteExecute": None,
    }  # fmt: skip
    assert unit.last("Service", "Type") in {"notify", "notify-reload"}
    assert unit.span("Service", "WatchdogSec", 0) >= 30
    assert unit.last("Service", "User") not in {"", "root"}
    keys = {setting.key: setting.value for setting in unit.settings if setting.section == "Service"}
    assert [key for key in wanted if key not in keys] == []
    assert {key: keys[key] for key, value in wanted.items() if value} == {
        key: value for key, value in wanted.items() if value
    }
