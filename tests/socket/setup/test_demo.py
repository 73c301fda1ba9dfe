"""The demo as a person meets it: it is interrupted in mid-deploy, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fleet_agent.setup.demo import leftovers

ENV = {name: value for name, value in os.environ.items() if name != "DEMO_ONCE"}


def demo(place: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fleet_agent.setup.demo", "--dir", str(place)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENV,
    )  # fmt: skip


def said_until(running: subprocess.Popen[str], word: str) -> list[str]:
    """The lines up to the first with ``word`` in it; fails when the demo ends before."""
    lines: list[str] = []
    assert running.stdout is not None
    for line in running.stdout:
        lines.append(line)
        if word in line:
            return lines
    pytest.fail(f"the demo ended before it said {word!r}:\n{''.join(lines)}")


@pytest.mark.timeout(180)
def test_an_interrupt_in_mid_deploy_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    place = tmp_path / "d"
    running = demo(place)
    said_until(running, "deploy 1  services ")
    there = place.resolve()
    assert leftovers.running_from(there)
    running.send_signal(signal.SIGINT)
    running.send_signal(signal.SIGINT)
    rest, _ = running.communicate(timeout=120)
    assert running.returncode == 0, rest
    assert "nothing of it is left" in rest
    assert leftovers.running_from(there) == []
    assert not there.exists()
    assert not os.path.lexists(place)


@pytest.mark.timeout(180)
def test_a_second_demo_in_the_same_place_is_refused_and_a_dead_ones_place_is_taken(
    tmp_path: Path,
) -> None:
    place = tmp_path / "d"
    first = demo(place)
    said_until(first, "First deploy")
    second = demo(place)
    text, _ = second.communicate(timeout=60)
    assert second.returncode != 0
    assert "a demo runs there already" in text
    first.kill()
    first.communicate(timeout=60)
    third = demo(place)
    said_until(third, "First deploy")
    third.send_signal(signal.SIGTERM)
    third.communicate(timeout=120)
    assert not os.path.lexists(place)
