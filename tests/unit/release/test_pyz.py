"""``node.pyz``: reproducible, complete, and runnable by a bare Python."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import fleet_agent
from fleet_agent.errors import ConfigError
from fleet_agent.release import pyz

PACKAGE = Path(fleet_agent.__file__).parent


def test_the_same_sources_give_the_same_bytes_whatever_their_dates(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "fleet_agent", symlinks=True)
    for path in (tmp_path / "fleet_agent").rglob("*.py"):
        os.utime(path, (1, 1))
    assert pyz.build(tmp_path / "fleet_agent") == pyz.build(PACKAGE)


def test_it_holds_what_a_node_needs_and_no_other_room() -> None:
    with zipfile.ZipFile(io.BytesIO(pyz.build(PACKAGE).data)) as archive:
        names = archive.namelist()
    rooms = {name.split("/")[1] for name in names if name.count("/") > 1}
    assert rooms == {"node", "release"}
    assert "fleet_agent/node/preflight.py" in names
    assert "__main__.py" in names


def test_a_bare_python_runs_it(tmp_path: Path) -> None:
    path = tmp_path / "node.pyz"
    path.write_bytes(pyz.build(PACKAGE).data)
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(path), "nonsense"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("usage: node.pyz PHASE")


def test_an_incomplete_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        pyz.build(tmp_path)
    assert refused.value.where.startswith(str(tmp_path))
