"""The snapshot as JSON, there and back, and the exit code that it means."""

from __future__ import annotations

import json

import pytest

from fleet_agent.errors import CouldNotLook
from fleet_agent.observe.sight import (
    FleetSnapshot,
    HealthSight,
    SshSight,
    WizardSight,
    from_value,
)
from fleet_agent.wire import Health

REACHED, LOST = SshSight(True, "", 0.2), SshSight(False, "No route to host", 5.0)
WELL = HealthSight(Health.PASS, "", "http", True, "0.1.0", "bbbb", "aaaa", 3.0)
WARNING = HealthSight(Health.WARN, "unsigned: allow", "ssh", True)
SILENT = HealthSight(Health.FAIL, "no answer")
FOREIGN = HealthSight(Health.FAIL, "something else answers there", "http")


def fleet(*pairs: tuple[SshSight, HealthSight]) -> FleetSnapshot:
    wizards = tuple(
        WizardSight(f"w{number}", f"192.0.2.{number}", "worker", "a/b", ssh, health)
        for number, (ssh, health) in enumerate(pairs)
    )
    return FleetSnapshot("timmy", 1790000000.25, wizards)


def test_it_comes_back_from_json_as_it_was() -> None:
    snapshot = fleet((REACHED, WELL), (LOST, SILENT), (REACHED, WARNING))
    assert from_value(json.loads(json.dumps(snapshot.to_value()))) == snapshot


def test_the_names_that_scripts_read() -> None:
    said = fleet((REACHED, WELL)).to_value()
    assert set(said) == {"fleet", "looked_at", "well", "wizards"}
    (wizard,) = said["wizards"]
    assert set(wizard) == {"wizard", "host", "role", "model", "ssh", "health", "well"}
    assert set(wizard["ssh"]) == {"ok", "why", "seconds"}
    assert set(wizard["health"]) == {
        "status", "why", "via", "answered", "version", "release", "running", "age_seconds",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        ([(REACHED, WELL), (REACHED, WARNING)], 0),
        ([(REACHED, WELL), (LOST, WELL)], 10),
        ([(REACHED, WELL), (REACHED, SILENT)], 10),
        ([(LOST, SILENT), (REACHED, WELL)], 10),
        ([(LOST, FOREIGN)], 10),
        ([(LOST, SILENT), (LOST, SILENT)], 11),
    ],
)
def test_exit_codes(pairs: list[tuple[SshSight, HealthSight]], code: int) -> None:
    assert fleet(*pairs).exit_code == code


@pytest.mark.parametrize("value", [{}, {"fleet": "x", "looked_at": 1, "wizards": [{}]},
                                   {"fleet": "x", "looked_at": "y", "wizards": []}])  # fmt: skip
def test_what_is_no_snapshot_is_said(value: dict[str, object]) -> None:
    with pytest.raises(CouldNotLook):
        from_value(value)
