"""Ansible's own ssh connection, with a program for ssh whose first connections break."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure  # type: ignore[import-untyped]
from ansible.playbook.play_context import PlayContext  # type: ignore[import-untyped]
from ansible.plugins.loader import (  # type: ignore[import-untyped]
    connection_loader,
    init_plugin_loader,
)

from fleet_agent.deploy import hosttask
from fleet_agent.deploy.retries import watched

# Counts its calls in a file, and breaks as ssh does as long as told: exit code 255.
PROGRAM = """#!/bin/sh
calls=$(($(cat "$0.calls" 2>/dev/null || echo 0) + 1))
echo $calls >"$0.calls"
cat >/dev/null
if [ $calls -le {breaks} ]; then
    echo "mux_client_request_session: read from master failed: Broken pipe" >&2
    exit 255
fi
echo done
exit {code}
"""


@pytest.fixture(scope="module", autouse=True)
def loader() -> None:
    init_plugin_loader([])


def connection(place: Path, breaks: int, code: int = 0) -> Any:
    program = place / "ssh"
    program.write_text(PROGRAM.format(breaks=breaks, code=code))
    program.chmod(0o755)
    made = connection_loader.get("ssh", PlayContext())
    direct = {"host": "192.0.2.11", "ssh_executable": str(program), "reconnection_retries": 1}
    made.set_options(direct=direct)
    return made


def test_a_connection_that_broke_and_was_made_again_is_told_with_sshs_words(tmp_path: Path) -> None:
    broke: list[str] = []
    ssh = connection(tmp_path, breaks=1)
    with watched(ssh, broke):
        code, out, _ = ssh.exec_command("true", in_data=b"x")
    assert (code, out) == (0, b"done\n")
    assert len(broke) == 1
    assert broke[0].endswith("mux_client_request_session: read from master failed: Broken pipe")
    assert hosttask.made_again("deploy", "Broken pipe") == (
        "the ssh connection broke in deploy (Broken pipe) and was made again"
    )


@pytest.mark.parametrize("code", [0, 1, 4])
def test_a_connection_that_holds_is_no_news_whatever_the_command_says(
    tmp_path: Path, code: int
) -> None:
    broke: list[str] = []
    ssh = connection(tmp_path, breaks=0, code=code)
    for _ in range(2):
        with watched(ssh, broke):
            assert ssh.exec_command("true", in_data=b"x")[0] == code
    assert broke == []


def test_a_connection_that_stays_broken_is_the_callers_matter(tmp_path: Path) -> None:
    broke: list[str] = []
    ssh = connection(tmp_path, breaks=2)
    with pytest.raises(AnsibleConnectionFailure), watched(ssh, broke):
        ssh.exec_command("true", in_data=b"x")
    assert len(broke) == 1
    with watched(ssh, broke):
        assert ssh.exec_command("true", in_data=b"x")[0] == 0
    assert len(broke) == 1


def test_a_node_that_is_a_folder_has_no_ssh_to_break() -> None:
    broke: list[str] = []
    with watched(object(), broke):
        pass
    assert broke == []
