"""The configuration that jumps read, as ssh itself understands it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from fleet_agent.setup import sshconfig
from fleet_agent.setup.git import WorkTree


def test_ssh_finds_key_and_pins_in_it(ops: Path) -> None:
    path = sshconfig.place(WorkTree(ops), "/keys/with space", ops / "known_hosts")
    asked = subprocess.run(
        ["ssh", "-F", path, "-G", "192.0.2.77"], capture_output=True, text=True, check=True
    )
    said = dict(line.split(" ", 1) for line in asked.stdout.splitlines() if " " in line)
    assert said["identityfile"] == "/keys/with space"
    assert said["userknownhostsfile"].split()[-1] == str(ops / "known_hosts")
    assert said["batchmode"] == "yes"


def test_it_lies_where_git_does_not_see_it_and_is_written_once(ops: Path) -> None:
    tree = WorkTree(ops)
    path = Path(sshconfig.place(tree, "", ops / "known_hosts"))
    before = path.stat().st_mtime_ns
    assert sshconfig.place(tree, "", ops / "known_hosts") == str(path)
    assert path.stat().st_mtime_ns == before
    assert tree.changed() == ()
