"""`pip install .` brings everything that runs: playbooks, units, examples, schema."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.house.sources import PACKAGE, ROOT

# What a build reads; copied, so that it leaves nothing behind in the work tree.
SOURCES = ("fleet_agent", "playbooks", "systemd", "etc", "setup.cfg", "pyproject.toml", "LICENSE",
           "README.md")  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("build")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, place / name, symlinks=True)
        else:
            shutil.copy(source, place / name)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--wheel-dir", str(place / "out"), str(place)],
        check=True, timeout=100,
    )  # fmt: skip
    (made,) = (place / "out").glob("*.whl")
    return made


def test_the_wheel_holds_what_runs_and_nothing_that_was_compiled(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    wanted = {
        f"fleet_agent/share/{top}/{path.relative_to(ROOT / top)}"
        for top in ("playbooks", "systemd", "etc")
        for path in (ROOT / top).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    wanted |= {
        f"fleet_agent/{path.relative_to(PACKAGE)}"
        for pattern in ("**/*.py", "**/schema/*.sql")
        for path in PACKAGE.glob(pattern)
        if "share" not in path.parts
    }
    assert sorted(wanted - inside) == []
    assert [name for name in inside if name.endswith(".pyc") or "__pycache__" in name] == []
    assert len(wanted) > 100


def test_an_installed_package_runs_from_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "venv"
    venv.create(place, with_pip=False, symlinks=True)
    # pip of this environment installs into that one; what it needs (PyYAML) is lent by a path.
    library = place / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(place / "bin/python"), "install", "--quiet",
         "--no-index", "--no-deps", str(wheel)],
        check=True, timeout=100,
    )  # fmt: skip
    (library / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    done = subprocess.run(
        [str(place / "bin/fleet-agent"), "registry", "check", "--help"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        env={"PATH": os.defpath},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    share = library / "fleet_agent/share"
    assert (share / "playbooks/site.yml").is_file()
    assert (share / "systemd/fleet-agent@.service").is_file()
