"""Which repository, tag and branch are in force: the registry's, before it bootstrap's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet_agent.deploy import rules
from fleet_agent.deploy.paths import DeployPaths
from fleet_agent.errors import ConfigError


@pytest.fixture
def paths(tmp_path: Path) -> DeployPaths:
    (tmp_path / "state").mkdir()
    (tmp_path / "root" / "current").mkdir(parents=True)
    return DeployPaths(str(tmp_path / "state"), str(tmp_path / "root"))


def first(paths: DeployPaths, **said: object) -> None:
    Path(paths.first).write_text(json.dumps(said))


def registry(paths: DeployPaths, value: object) -> None:
    (Path(paths.current) / "registry.json").write_text(json.dumps(value))


def test_before_a_release_bootstrap_s_file_says_it(paths: DeployPaths) -> None:
    with pytest.raises(ConfigError, match="bootstrap"):
        rules.read(paths)
    first(paths, repository="/srv/ops.git", tag="LIVE", branch="trunk")
    found = rules.read(paths)
    assert (found.repository, found.tag, found.branch) == ("/srv/ops.git", "LIVE", "trunk")


def test_a_release_s_registry_says_it_and_its_limits_hold(paths: DeployPaths) -> None:
    first(paths, repository="/srv/old.git", tag="LIVE")
    registry(paths, {"deploy": {"repository": "/srv/new.git", "limits": {"deploy_forks": 7}}})
    found = rules.read(paths)
    assert (found.repository, found.tag, found.branch) == ("/srv/new.git", "PROD", "main")
    assert found.limits["deploy_forks"] == 7


def test_a_registry_that_names_no_repository_leaves_bootstrap_s(paths: DeployPaths) -> None:
    first(paths, repository="/srv/old.git", tag="LIVE")
    registry(paths, {"deploy": {"repository": None, "tag": "v*"}})
    found = rules.read(paths)
    assert (found.repository, found.tag) == ("/srv/old.git", "v*")


@pytest.mark.parametrize(
    "said",
    [
        {"repository": 7},
        {"repository": "--upload-pack=x"},
        {"repository": "x", "branch": "a..b"},
        {"repository": "x", "tag": "-d"},
        {"repository": "x", "limits": {"deploy_forks": -1}},
        {"repository": "x", "limits": 3},
    ],
)
def test_wrong_rules_are_told_with_their_file(paths: DeployPaths, said: dict[str, object]) -> None:
    first(paths, **said)
    with pytest.raises(ConfigError):
        rules.read(paths)


@pytest.mark.parametrize("text", ["{", "[]", "\udcff"])
def test_a_file_that_is_no_json_object_is_told(paths: DeployPaths, text: str) -> None:
    Path(paths.first).write_text(text, errors="surrogateescape")
    with pytest.raises(ConfigError) as caught:
        rules.read(paths)
    assert caught.value.where == paths.first
