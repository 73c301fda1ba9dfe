"""Which registry a command means, and reading it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet_agent.errors import ConfigError
from fleet_agent.registry import compiled
from fleet_agent.registry.parse import RegistryError, parse
from fleet_agent.registry.source import choose, open_registry

TEXT = "wizards: {ezra: {host: 192.0.2.9, role: orchestrator}}"


def test_the_named_file_goes_first(tmp_path: Path) -> None:
    assert choose("x.yaml", directory=str(tmp_path)) == "x.yaml"


def test_a_named_folder_means_its_fleet_yaml(tmp_path: Path) -> None:
    assert choose(str(tmp_path)) == str(tmp_path / "fleet.yaml")


def test_then_fleet_yaml_here_then_the_nodes_own(tmp_path: Path) -> None:
    here, installed = tmp_path / "fleet.yaml", tmp_path / "registry.json"
    installed.write_text("{}")
    assert choose(None, directory=str(tmp_path), installed=str(installed)) == str(installed)
    here.write_text(TEXT)
    assert choose(None, directory=str(tmp_path), installed=str(installed)) == str(here)


def test_none_is_told_with_the_places_looked_at(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        choose(None, directory=str(tmp_path), installed="/nowhere/registry.json")
    assert "/nowhere/registry.json" in caught.value.where


def test_opens_yaml_and_compiled_json(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(TEXT)
    (tmp_path / "registry.json").write_text(json.dumps(compiled.compile(parse(TEXT))))
    from_yaml = open_registry(str(tmp_path / "fleet.yaml"))
    assert open_registry(str(tmp_path / "registry.json")) == from_yaml


def test_what_can_not_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(RegistryError):
        open_registry(str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigError, match="could not be read"):
        open_registry(str(tmp_path / "none.json"))
    (tmp_path / "torn.json").write_text("{")
    with pytest.raises(ConfigError, match="not JSON"):
        open_registry(str(tmp_path / "torn.json"))
