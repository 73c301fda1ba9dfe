"""The fleet's table: at a glance, within the terminal, and without colour as clear as with it."""

from __future__ import annotations

import re

import pytest

from fleet_agent.cli.fleettable import age, lines
from fleet_agent.observe.sight import FleetSnapshot, HealthSight, SshSight, WizardSight
from fleet_agent.wire import Health

OK = SshSight(True, "", 0.1)
PASS = HealthSight(Health.PASS, "", "http", True, "0.1.0", "80c16b746fccf9f97302", "", 7200.0)


def plain(colour: str, text: str) -> str:
    return text


def wizard(name: str, ssh: SshSight = OK, health: HealthSight = PASS, host: str = "192.0.2.1",
           model: str = "google/gemma-4-31b-it") -> WizardSight:  # fmt: skip
    return WizardSight(name, host, "orchestrator", model, ssh, health)


def fleet(*wizards: WizardSight) -> FleetSnapshot:
    return FleetSnapshot("timmy", 0.0, wizards)


def test_a_well_fleet_is_a_row_each_and_a_sum() -> None:
    shown = lines(fleet(wizard("ezra"), wizard("bezalel")), 120, plain)
    assert shown[0].split() == [
        "WIZARD",
        "HOST",
        "ROLE",
        "MODEL",
        "SSH",
        "HEALTH",
        "RELEASE",
        "AGE",
    ]
    row = "ezra 192.0.2.1 orchestrator google/gemma-4-31b-it ok pass 80c16b74 2h"
    assert shown[1].split() == row.split()
    assert shown[-1] == "timmy: all 2 wizards are well"


def test_what_is_wrong_stands_in_its_row_where_there_is_no_width() -> None:
    broken = wizard(
        "allegro", SshSight(False, "No route", 5), HealthSight(Health.FAIL, "no answer")
    )
    shown = lines(fleet(wizard("ezra"), broken), None, plain)
    (row,) = [line for line in shown if line.startswith("allegro")]
    assert "FAILED" in row
    assert row.endswith("ssh: No route; no answer")
    assert shown[-1] == "timmy: 1 of 2 not well: allegro"


@pytest.mark.parametrize("width", [80, 100, 120])
def test_it_stays_within_the_width(width: int) -> None:
    long = "a" * 29
    why = "no answer from http://[2001:db8:1111:2222:3333:4444:5555:6666]:8646/health: timed out"
    health = HealthSight(Health.FAIL, why, "ssh", True, "", "80c16b746fccf9f97302", "", 1e6)
    host = "2001:db8:1111:2222:3333:4444:5555:6666"
    shown = lines(fleet(wizard(long, host=host, health=health, model="m" * 60)), width, plain)
    assert max(map(len, shown[:-1])) <= width
    text = " ".join(" ".join(shown).split())
    assert "fail via ssh" in text
    assert "timed out" in text


def test_names_keep_their_beginning_and_end_when_shortened() -> None:
    first, second = (wizard("w", model=f"provider/{'x' * 60}-{end}") for end in ("8b", "70b"))
    shown = lines(fleet(first, second), 80, plain)
    assert re.search(r"prov\S*…\S*8b ", shown[1])
    assert re.search(r"prov\S*…\S*70b ", shown[2])


def test_colour_changes_no_letter() -> None:
    snapshot = fleet(
        wizard("ezra"), wizard("b", health=HealthSight(Health.WARN, "low", "http", True))
    )
    coloured = lines(snapshot, 100, lambda colour, text: f"\x1b[1m{text}\x1b[0m")
    assert [re.sub(r"\x1b\[\d+m", "", line) for line in coloured] == lines(snapshot, 100, plain)


def test_what_a_node_says_can_not_steer_the_terminal() -> None:
    evil = HealthSight(Health.FAIL, "bad \x1b]0;title\x07\r\n", "http", True, release="\x1b[2J")
    for line in lines(fleet(wizard("ezra", health=evil)), 100, plain):
        assert line.isprintable()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "-"), (-1, "0s"), (0.4, "0s"), (59.9, "59s"), (60, "1m"), (3600, "1h"), (4e6, "46d")],
)
def test_ages_are_told_in_a_few_characters(seconds: float | None, shown: str) -> None:
    assert age(seconds) == shown
