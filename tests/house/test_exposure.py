"""The sandboxes of daemon and runner, judged by systemd itself."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.house.sources import ROOT

MOST = 2.0


@pytest.mark.parametrize("name", ["fleet-agent@.service", "fleet-exec@.service"])
def test_it_is_exposed_by_2_of_10_at_most(name: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.fail("systemd-analyze is needed: apt-get install systemd")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager",
         str(ROOT / f"systemd/{name}")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    said = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert said is not None, done.stdout + done.stderr
    assert float(said[1]) <= MOST
    assert done.returncode == 0
