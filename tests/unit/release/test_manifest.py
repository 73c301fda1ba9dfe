"""Manifests: one name for one content, and nothing that could lead out of a release."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fleet_agent.release.manifest import ManifestError, from_json, to_json
from tests.unit.release.samples import built


def sample() -> dict[str, Any]:
    return copy.deepcopy(to_json(built().manifest))


def test_a_manifest_comes_back_from_its_json_with_the_same_name() -> None:
    manifest = built().manifest
    assert from_json(to_json(manifest)) == manifest
    assert from_json(to_json(manifest)).id == built().id
    assert len(manifest.id) == 20


@pytest.mark.parametrize(
    "path",
    ["../x", "/etc/passwd", "code/../../x", "code//x", "code/./x", "", "code/a\nb", "a\\b", "x\0y"],
)
def test_a_path_that_could_lead_out_is_refused(path: str) -> None:
    data = sample()
    data["files"][0]["path"] = path
    with pytest.raises(ManifestError):
        from_json(data)


def test_a_path_named_twice_is_refused() -> None:
    data = sample()
    data["files"].append(data["files"][0])
    with pytest.raises(ManifestError, match="twice"):
        from_json(data)


def test_a_file_below_a_file_is_refused() -> None:
    data = sample()
    data["files"].append({**data["files"][0], "path": data["files"][0]["path"] + "/below"})
    with pytest.raises(ManifestError, match="below a file"):
        from_json(data)


@pytest.mark.parametrize("mode", ["4755", "640", 0o640, "0999", None, "0640 "])
def test_only_permission_bits_are_a_mode(mode: object) -> None:
    data = sample()
    data["files"][0]["mode"] = mode
    with pytest.raises(ManifestError):
        from_json(data)


@pytest.mark.parametrize("place", ["relative", "/a/../etc/passwd", "/", "//x", "/a\nb"])
def test_a_place_is_a_plain_absolute_path(place: str) -> None:
    data = sample()
    data["wizards"]["ezra"]["files"][0]["place"] = place
    with pytest.raises(ManifestError):
        from_json(data)


@pytest.mark.parametrize("unit", ["-evil.service", "a/b.service", "x", "a b.service", ""])
def test_a_unit_is_a_file_name_and_never_an_option(unit: str) -> None:
    data = sample()
    data["wizards"]["ezra"]["units"]["daemon"] = unit
    with pytest.raises(ManifestError):
        from_json(data)


@pytest.mark.parametrize("key", ["files", "wizards", "orchestrator", "v"])
def test_a_missing_key_is_said(key: str) -> None:
    data = sample()
    del data[key]
    with pytest.raises(ManifestError):
        from_json(data)


@pytest.mark.parametrize("data", [None, [], "x", 7, {}])
def test_what_is_no_manifest_is_refused(data: object) -> None:
    with pytest.raises(ManifestError):
        from_json(data)


@pytest.mark.parametrize("name", ["node", "hook", "testing", "../x", "Ezra"])
def test_no_wizard_has_a_name_whose_directories_are_not_its_own(name: str) -> None:
    data = sample()
    (wizard,) = data["wizards"].values()
    data["wizards"] = {name: wizard}
    with pytest.raises(ManifestError, match="no wizard's name"):
        from_json(data)
