"""Programs sent to a machine: the same source and loader, run by a Python of this one."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from fleet_agent.setup import login
from fleet_agent.setup.login import Login, jump_hosts, sources


def run_here(program: str, given: dict[str, Any], payload: bytes = b"") -> dict[str, Any]:
    """What ``call`` sends over ssh, to a bare interpreter here: no package, no environment."""
    head = json.dumps({"sources": sources(program), "given": given}).encode() + b"\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", login._LOADER],
        input=head + payload,
        capture_output=True,
        cwd="/",
        env={},
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_look_runs_without_anything_of_ours_installed() -> None:
    facts = run_here("look", {"orchestrator": True})
    assert facts["python"] == list(sys.version_info[:3])
    assert facts["implementation"] == "cpython"
    assert isinstance(facts["missing"], list)


@pytest.mark.parametrize("program", ["host", "orchestrator", "venv", "mirror", "service", "reach"])
def test_every_program_brings_all_that_it_imports(program: str) -> None:
    loaded = login._LOADER.split("try:")[0]
    head = json.dumps({"sources": sources(program), "given": {}}).encode() + b"\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", loaded + "print(callable(m.main))"],
        input=head,
        capture_output=True,
        cwd="/",
        env={},
        check=False,
    )
    assert done.stdout == b"True\n", done.stderr.decode()


def test_an_error_comes_back_with_what_where_and_mend() -> None:
    answer = run_here("mirror", {"commit": "../../etc", "send": True})
    assert answer["error"] == {"what": "is no commit", "where": "../../etc", "mend": ""}


def test_answers_are_found_behind_a_login_banner() -> None:
    assert login._answer(b'Welcome {to}\n{"a": 1}') == {"a": 1}
    assert login._answer(b'{"a": "x\\n{"}') == {"a": "x\n{"}
    assert login._answer(b"Welcome\n") is None
    assert login._answer(b"") is None


def test_hops_of_jumps_are_told_once() -> None:
    assert jump_hosts(["a,root@b:22", "ssh://a", "none", ""]) == ("a", "root@b:22")


def test_words_for_the_other_side_stay_words() -> None:
    argv = Login("n", "192.0.2.1").command("python3", "-c", "print('a b; $HOME')")
    said = subprocess.run(
        ["sh", "-c", f'set -- {argv[-1]}; echo "$3"'], capture_output=True, check=True
    )
    assert said.stdout == b"print('a b; $HOME')\n"
