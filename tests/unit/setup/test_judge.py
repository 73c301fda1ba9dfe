"""What keeps a machine from carrying a wizard."""

from __future__ import annotations

from typing import Any

import pytest

from fleet_agent.setup.judge import obstacles, summary

GOOD: dict[str, Any] = {
    "system": "debian",
    "like": [],
    "pretty": "Debian GNU/Linux 12 (bookworm)",
    "uid": 0,
    "systemd": 252,
    "booted_by_systemd": True,
    "python": [3, 11, 2],
    "venv": True,
    "missing": [],
    "free_mib": 4000,
}


def test_a_bare_debian_12_can_carry_an_orchestrator() -> None:
    assert obstacles(GOOD, orchestrator=True) == ()
    assert summary(GOOD) == "Debian GNU/Linux 12 (bookworm), Python 3.11.2, systemd 252"


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"system": "fedora", "pretty": "Fedora 41"}, "Fedora 41"),
        ({"uid": 1000}, "root"),
        ({"systemd": 249}, "systemd 249"),
        ({"systemd": 0}, "no systemd"),
        ({"booted_by_systemd": False}, "not booted by systemd"),
        ({"python": [3, 10, 12]}, "Python 3.10.12"),
        ({"missing": ["visudo", "sudo"]}, "apt-get install --yes sudo"),
        ({"missing": ["git", "ssh-keygen"]}, "apt-get install --yes git openssh-client"),
        ({"venv": False}, "python3-venv"),
        ({"free_mib": 100}, "100 MiB"),
    ],
)
def test_each_obstacle_is_said(changed: dict[str, Any], word: str) -> None:
    (said,) = obstacles(GOOD | changed, orchestrator=True)
    assert word in said


def test_all_obstacles_are_said_at_once() -> None:
    said = obstacles(GOOD | {"systemd": 249, "python": [3, 10, 0]}, orchestrator=False)
    assert len(said) == 2


def test_what_only_an_orchestrator_needs_is_not_asked_of_others() -> None:
    assert obstacles(GOOD | {"venv": False, "free_mib": 1}, orchestrator=False) == ()


def test_a_child_of_debian_is_taken() -> None:
    assert obstacles(GOOD | {"system": "mint", "like": ["ubuntu"]}, orchestrator=False) == ()
