"""Running one program to its end while reading its events, with real processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.deploy import playbook
from fleet_agent.deploy.playbook import PlaybookEnd
from tests.deploy_world import until

WRITE = "import os; fd = int(os.environ['FLEET_AGENT_EVENTS_FD']); "


def lives(pid: int) -> bool:
    """Whether the process runs; one that ended and was not yet collected does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def run(
    tmp_path: Path, program: str, run_seconds: float = 20, silent_seconds: float = 20
) -> tuple[PlaybookEnd, list[Mapping[str, Any]]]:
    events: list[Mapping[str, Any]] = []
    end = playbook.run(
        [sys.executable, "-c", program],
        dict(os.environ),
        cwd=str(tmp_path),
        log_path=str(tmp_path / "log"),
        run_seconds=run_seconds,
        silent_seconds=silent_seconds,
        memory_bytes=1 << 30,
        on_event=events.append,
    )
    return end, events


def test_every_event_arrives_also_those_written_in_pieces(tmp_path: Path) -> None:
    program = WRITE + ('os.write(fd, b\'{"event": \'); os.write(fd, b\'"a"}\\n{"event": "b"}\\n\')')
    end, events = run(tmp_path, program)
    assert end == PlaybookEnd(0)
    assert [event["event"] for event in events] == ["a", "b"]


def test_a_line_that_is_no_event_ends_nothing(tmp_path: Path) -> None:
    end, events = run(tmp_path, WRITE + 'os.write(fd, b\'oops\\n{"event": "b"}\\n\')')
    assert end.code == 0
    assert len(events) == 1


def test_the_exit_code_is_the_programs(tmp_path: Path) -> None:
    assert run(tmp_path, "raise SystemExit(4)")[0] == PlaybookEnd(4)


def test_what_it_prints_is_kept_in_the_log(tmp_path: Path) -> None:
    run(tmp_path, "import sys; print('out'); print('err', file=sys.stderr)")
    assert set((tmp_path / "log").read_text().split()) == {"out", "err"}


def test_a_silent_run_is_ended_with_its_children(tmp_path: Path) -> None:
    program = (
        "import subprocess, time\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)"
    )
    end, _ = run(tmp_path, program, silent_seconds=1)
    assert "no host said anything" in end.ended_because
    child = int((tmp_path / "pid").read_text())
    # It has its SIGKILL by now; a busy machine takes a moment to carry it out.
    until(lambda: not lives(child), "the end of its child")


def test_a_run_that_talks_for_ever_is_ended_too(tmp_path: Path) -> None:
    program = WRITE + "import time\nwhile True: os.write(fd, b'{}\\n'); time.sleep(0.05)"
    end, _ = run(tmp_path, program, run_seconds=1)
    assert "took longer" in end.ended_because


def test_a_run_that_falls_silent_by_closing_its_pipe_is_ended_too(tmp_path: Path) -> None:
    end, _ = run(tmp_path, WRITE + "os.close(fd); import time; time.sleep(600)", silent_seconds=1)
    assert "no host said anything" in end.ended_because


def test_an_error_of_the_listener_ends_the_run(tmp_path: Path) -> None:
    def refuse(event: Mapping[str, Any]) -> None:
        raise KeyError(event["event"])

    program = WRITE + (
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        'os.write(fd, b\'{"event": "a"}\\n\')\nimport time; time.sleep(600)'
    )
    with pytest.raises(KeyError):
        playbook.run(
            [sys.executable, "-c", program],
            dict(os.environ),
            cwd=str(tmp_path),
            log_path=str(tmp_path / "log"),
            run_seconds=20,
            silent_seconds=20,
            memory_bytes=1 << 30,
            on_event=refuse,
        )
    child = int((tmp_path / "pid").read_text())
    # It has its SIGKILL by now; a busy machine takes a moment to carry it out.
    until(lambda: not lives(child), "the end of its child")


def test_texts_of_modules_that_no_file_takes_come_as_ones_that_it_takes(tmp_path: Path) -> None:
    line = r'{"event": "failed", "message": "\ud800\u001b[2J", "result": {"error": "no"}}'
    _, events = run(tmp_path, WRITE + f"os.write(fd, {line.encode()!r} + bytes([10]))")
    (event,) = events
    assert event["message"] == "\ufffd\ufffd[2J"
    assert event["result"]["error"] is None


def test_an_event_nested_beyond_measure_ends_nothing(tmp_path: Path) -> None:
    end, events = run(tmp_path, WRITE + 'os.write(fd, b"[" * 60000 + b\'\\n{"event": "b"}\\n\')')
    assert end.code == 0
    assert [event["event"] for event in events] == ["b"]
