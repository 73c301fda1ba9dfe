"""The wheel of our own files: reproducible, complete, and one that pip takes."""

from __future__ import annotations

import base64
import configparser
import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import fleet_agent
from fleet_agent.errors import ConfigError
from fleet_agent.setup import wheel

SOURCE = Path(fleet_agent.__file__).parent


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package that nobody edits while the tests run; links become files."""
    copy = tmp_path_factory.mktemp("copy") / "fleet_agent"
    shutil.copytree(SOURCE, copy)
    return copy


def test_the_same_files_give_the_same_bytes_whatever_their_times_modes_and_bytecode(
    package: Path, tmp_path: Path
) -> None:
    other = tmp_path / "fleet_agent"
    shutil.copytree(package, other, copy_function=shutil.copyfile)
    for path in other.rglob("*"):
        if path.is_file():
            os.utime(path, (1, 1))
            path.chmod(0o700)
    cache = other / "__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "errors.cpython-399.pyc").write_bytes(b"bytecode")
    (other / "errors.py~").write_bytes(b"an editor's copy")
    assert wheel.build(other) == wheel.build(package)


def test_another_content_gives_another_digest(package: Path, tmp_path: Path) -> None:
    other = tmp_path / "fleet_agent"
    shutil.copytree(package, other)
    (other / "errors.py").write_text("# changed\n")
    assert wheel.build(other).sha256 != wheel.build(package).sha256


def test_a_checkout_whose_share_is_links_gives_what_its_files_give(
    package: Path, tmp_path: Path
) -> None:
    other = tmp_path / "fleet_agent"
    shutil.copytree(package, other)
    shutil.move(other / "share" / "playbooks", tmp_path / "playbooks")
    (other / "share" / "playbooks").symlink_to("../../playbooks")
    assert wheel.build(other) == wheel.build(package)


def test_code_playbooks_and_templates_are_in_it(package: Path) -> None:
    names = zipfile.ZipFile(io.BytesIO(wheel.build(package).data)).namelist()
    for expected in (
        "fleet_agent/errors.py",
        "fleet_agent/share/playbooks/site.yml",
        "fleet_agent/share/playbooks/plugins/action/fleet_phase.py",
        "fleet_agent/share/fleet-ops/soul.md",
        "fleet_agent/share/LICENSE",
    ):
        assert expected in names
    assert not [name for name in names if "__pycache__" in name]


def test_record_lists_each_file_with_its_digest_and_size(package: Path) -> None:
    archive = zipfile.ZipFile(io.BytesIO(wheel.build(package).data))
    (record,) = [name for name in archive.namelist() if name.endswith("/RECORD")]
    rows = {row[0]: row[1:] for row in csv.reader(archive.read(record).decode().splitlines())}
    assert set(rows) == set(archive.namelist())
    for name in set(rows) - {record}:
        data = archive.read(name)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        assert rows[name] == [f"sha256={digest}", str(len(data))]


def test_pip_installs_it_and_what_is_installed_makes_the_same_wheel(
    package: Path, tmp_path: Path
) -> None:
    built = wheel.build(package)
    (tmp_path / built.filename).write_bytes(built.data)
    target = tmp_path / "target"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run(
        [*pip, "--no-index", "--no-deps", "--target", target, tmp_path / built.filename],
        check=True,
    )
    program = (
        "import json; from fleet_agent.setup import wheel; w = wheel.build(); "
        "print(json.dumps([w.filename, w.sha256]))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(target), "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert json.loads(said.stdout) == [built.filename, built.sha256]
    assert (target / "bin" / "fleet-agent").exists()


def test_its_metadata_says_what_setup_cfg_says(package: Path) -> None:
    setup_cfg = SOURCE.parent / "setup.cfg"
    config = configparser.ConfigParser()
    config.read(setup_cfg)
    assert config["metadata"]["version"] == fleet_agent.__version__
    assert config["metadata"]["description"] == wheel.SUMMARY
    assert tuple(config["options"]["install_requires"].split()) == wheel.REQUIRES
    scripts = configparser.ConfigParser()
    scripts.read_string(wheel.ENTRY_POINTS)
    wanted = config["options.entry_points"]["console_scripts"].strip()
    assert [f"{name} = {value}" for name, value in scripts["console_scripts"].items()] == [wanted]


def test_files_that_are_not_there_are_said_and_not_packed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        wheel.build(tmp_path)
