"""Where settings, registry and soul come from, on a node and outside of one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet_agent.errors import ConfigError, FleetError
from fleet_agent.services.origin import FileOrigin, ReleaseOrigin
from fleet_agent.services.settings import SoulSettings
from tests.daemon import Machine, fleet


def test_a_release_gives_settings_registry_and_soul(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    name = machine.install()
    origin = ReleaseOrigin.find("ezra", str(tmp_path))
    settings = origin.settings()
    assert settings.wizard == "ezra"
    found = origin.fleet(settings)
    assert [one.name for one in found.registry.wizards] == ["ezra", "bezalel", "allegro"]
    assert json.loads(found.public_json)["fleet"] == "timmy"
    assert settings.soul is not None
    views = origin.soul_views(settings.soul, settings.run_dir)
    assert views == (f"{machine.home}/releases/{name}/wizards/ezra/soul",)
    assert origin.installed is not None
    assert origin.installed.now()[0] == name


def test_the_registry_is_the_installed_releases_and_the_rest_the_running_ones(
    tmp_path: Path,
) -> None:
    machine = Machine(tmp_path)
    first = machine.install()
    origin = ReleaseOrigin.find("ezra", str(tmp_path))
    more = "wizards: {ezra: {host: 127.0.0.1, role: orchestrator}, gideon: {host: 192.0.2.13}}"
    second = machine.install(fleet(more), soul=b"Other.\n")
    settings = origin.settings()
    assert [one.name for one in origin.fleet(settings).registry.wizards] == ["ezra", "gideon"]
    assert settings.soul is not None
    assert first in origin.soul_views(settings.soul, settings.run_dir)[0]
    assert origin.installed is not None
    assert origin.installed.running_id == first
    assert origin.installed.now()[0] == second


def test_the_soul_is_looked_at_through_the_units_views_where_there_are_some(tmp_path: Path) -> None:
    Machine(tmp_path).install()
    origin = ReleaseOrigin.find("ezra", str(tmp_path))
    settings = origin.settings()
    assert settings.soul is not None
    placed = settings.soul._replace(place="/home/ezra/SOUL.md")
    assert origin.soul_views(placed, settings.run_dir) == ("/home/ezra/SOUL.md",)
    view = Path(settings.run_dir, "soul")
    view.mkdir(parents=True)
    assert origin.soul_views(placed, settings.run_dir) == (
        str(view / "SOUL.md"),
        f"{settings.run_dir}/soul.file",
    )


def test_a_wizard_that_the_release_does_not_have_is_named(tmp_path: Path) -> None:
    Machine(tmp_path).install()
    with pytest.raises(FleetError, match="gideon"):
        ReleaseOrigin.find("gideon", str(tmp_path))


def test_no_release_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="no release is installed"):
        ReleaseOrigin.find("ezra", str(tmp_path))


def test_a_file_names_its_registry_beside_itself(tmp_path: Path) -> None:
    (tmp_path / "daemon.yaml").write_text("wizard: ezra\nregistry: fleet.yaml\n")
    (tmp_path / "fleet.yaml").write_text("wizards: {ezra: {host: 192.0.2.1, role: orchestrator}}\n")
    origin = FileOrigin(str(tmp_path / "daemon.yaml"))
    found = origin.fleet(origin.settings())
    assert [one.name for one in found.registry.wizards] == ["ezra"]
    assert origin.installed is None
    assert origin.soul_views(SoulSettings("ab", "/SOUL.md"), "/run") == ("/SOUL.md",)


def test_a_file_without_a_registry_knows_nobody(tmp_path: Path) -> None:
    (tmp_path / "daemon.yaml").write_text("wizard: ezra\nfleet: timmy\n")
    origin = FileOrigin(str(tmp_path / "daemon.yaml"))
    found = origin.fleet(origin.settings())
    assert (found.registry.fleet, len(found.registry)) == ("timmy", 0)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"v":9}'])
def test_a_compiled_registry_that_is_damaged_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "registry.json").write_text(text)
    (tmp_path / "daemon.yaml").write_text("wizard: ezra\nregistry: registry.json\n")
    origin = FileOrigin(str(tmp_path / "daemon.yaml"))
    with pytest.raises(ConfigError):
        origin.fleet(origin.settings())
