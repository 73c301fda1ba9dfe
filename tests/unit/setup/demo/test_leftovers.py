"""Nothing outlives the demo."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fleet_agent.setup.demo import leftovers

STUBBORN = (
    "import signal,time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(99)"
)


def test_what_runs_from_the_place_is_ended_and_nothing_else(tmp_path: Path) -> None:
    ours = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)", f"{tmp_path}/a"])
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)", f"{tmp_path}x"])
    try:
        assert leftovers.running_from(tmp_path) == [ours.pid]
        reaper = ours.wait
        assert leftovers.end(tmp_path) == 1
        assert reaper(10) == -15
        assert other.poll() is None
        assert leftovers.running_from(tmp_path) == []
    finally:
        other.kill()
        other.wait()


def test_what_will_not_end_is_killed(tmp_path: Path) -> None:
    ours = subprocess.Popen(
        [sys.executable, "-c", STUBBORN, f"{tmp_path}/a"], stdout=subprocess.PIPE
    )
    assert ours.stdout is not None
    ours.stdout.readline()
    assert leftovers.end(tmp_path) == 1
    assert ours.wait(10) == -9
    ours.stdout.close()
