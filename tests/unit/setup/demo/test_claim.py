"""Whose place the demo's is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet_agent.errors import ConfigError, TryAgain
from fleet_agent.setup.demo import claim


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(ConfigError):
        claim.clear(tmp_path)
    assert (tmp_path / "letter").read_text() == "dear"


def test_a_place_that_is_held_is_refused_and_later_taken(tmp_path: Path) -> None:
    place = tmp_path / "demo"
    place.mkdir()
    with claim.held(place), pytest.raises(TryAgain):
        claim.clear(place)
    assert place.is_dir()
    claim.clear(place)
    assert not place.exists()


def test_a_link_to_a_place_elsewhere_goes_with_it(tmp_path: Path) -> None:
    place, wanted = tmp_path / "elsewhere", tmp_path / "demo"
    place.mkdir()
    with claim.held(place):
        wanted.symlink_to(place)
    claim.clear(wanted)
    assert list(tmp_path.iterdir()) == []


def test_what_is_read_only_goes_too(tmp_path: Path) -> None:
    release = tmp_path / "demo/releases/one"
    release.mkdir(parents=True)
    (release / "file").write_text("x")
    release.chmod(0o500)
    claim.remove(tmp_path / "demo")
    assert list(tmp_path.iterdir()) == []


def test_nothing_there_is_nothing_to_do(tmp_path: Path) -> None:
    claim.clear(tmp_path / "demo")
    assert list(tmp_path.iterdir()) == []
