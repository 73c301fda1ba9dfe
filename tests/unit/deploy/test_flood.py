"""A process whose programs fill it with their words ends them; others go on."""

from __future__ import annotations

import subprocess
import sys

from fleet_agent.deploy import flood

MIB = 1024 * 1024


def test_a_flooding_program_is_ended_with_what_it_started() -> None:
    program = "import subprocess; subprocess.run(['yes', 'x' * 4096])"
    with flood.bounded(16 * MIB):
        said = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program], capture_output=True, check=False
        )
    assert said.returncode != 0
    assert len(said.stdout) > MIB


def test_a_program_that_says_little_is_left_alone() -> None:
    with flood.bounded(16 * MIB):
        said = subprocess.run(["sleep", "0.5"], capture_output=True, check=False)
    assert said.returncode == 0


def test_descendants_are_all_of_them() -> None:
    program = (
        "import subprocess; p = subprocess.Popen(['sleep', '60']); "
        "print(p.pid, flush=True); p.wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", program], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert flood.descendants(parent.pid) == [child]
        subprocess.run(["kill", str(child)], check=True)
        assert flood.descendants(child) == []
