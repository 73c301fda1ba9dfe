"""The runner: what is declared, by name, with its limits, and nothing of it left behind."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
from pathlib import Path

import pytest

from fleet_agent.runner.protocol import Why
from tests.busfleet import SECONDS, until
from tests.running_runner import RunningRunner, alive, heard, pids

ECHO = """
import json, os, sys
message = json.load(sys.stdin)
print(json.dumps({"said": message, "id": os.environ["FLEET_AGENT_MESSAGE"],
                  "socket": os.environ["FLEET_AGENT_SOCKET"], "argv": sys.argv[1:]}))
"""
# A child, and a grandchild in a session of its own that only its parent knew.
FAMILY = """
import os, sys, time
def note():
    with open({path!r}, "a") as target:
        target.write(f"{{os.getpid()}}\\n")
if not os.fork():
    os.setsid()
    if not os.fork():
        note()
        time.sleep(600)
    os._exit(0)
if not os.fork():
    note()
    time.sleep(600)
note()
while len(open({path!r}).read().split()) < 3:
    time.sleep(0.01)
{then}
"""


def family(tmp_path: Path, then: str) -> tuple[Path, str]:
    """A program with relatives that write their pids into the file; what it does in the end."""
    path = tmp_path / "family"
    return path, FAMILY.format(path=str(path), then=then)


def test_the_message_goes_in_and_the_output_comes_out(tmp_path: Path) -> None:
    with RunningRunner(tmp_path, {"request": ECHO}) as runner:
        given = json.dumps({"payload": "x" * 200_000}).encode()
        outcome = runner.run("request", given)
        assert outcome.why is None, outcome.reason
        said = json.loads(outcome.output)
        assert said["said"] == json.loads(given)
        assert said["id"] == "m-1"
        assert said["argv"] == []
        assert said["socket"] == str(tmp_path / "run/agent.sock")
        assert runner.end() == 0
    assert not Path(runner.path).exists()


def test_only_what_is_declared_runs_and_by_name_alone(tmp_path: Path) -> None:
    with RunningRunner(tmp_path, {"request": ECHO}) as runner:
        for name in ("alert", "/bin/sh", "request; id", "", "../request"):
            assert runner.run(name).why is Why.UNKNOWN


@pytest.mark.parametrize(
    ("source", "why", "words"),
    [
        ("import sys; print('why not', file=sys.stderr); sys.exit(3)", Why.EXIT,
         "ended with exit code 3: why not"),
        ("import os; os.kill(os.getpid(), 15)", Why.SIGNAL, "was ended by SIGTERM"),
        ("import sys; sys.exit('cannot log in: token=abcdef123456')", Why.EXIT, "token=***"),
        ("import time; time.sleep(600)", Why.TIMEOUT, "did not end within 0.5 s"),
        ("while True: print('x' * 1000)", Why.OUTPUT, "more than 2048 bytes to standard output"),
        ("import sys\nwhile True: print('x' * 1000, file=sys.stderr)", Why.OUTPUT,
         "more than 4096 bytes to standard error"),
        ("x = bytearray(1 << 30)", Why.EXIT, "MemoryError"),
    ],
)  # fmt: skip
def test_a_failure_says_why(tmp_path: Path, source: str, why: Why, words: str) -> None:
    limits = {
        "handler_seconds": 0.5 if why is Why.TIMEOUT else 60, "handler_output_bytes": 2048,
        "handler_error_bytes": 4096, "handler_memory_mib": 256,
    }  # fmt: skip
    with RunningRunner(tmp_path, {"request": source}, limits) as runner:
        outcome = runner.run("request")
        assert (outcome.why, outcome.output) == (why, b"")
        assert words in outcome.reason
        assert len(outcome.reason) < 400


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    runner = RunningRunner(tmp_path, {})
    runner.write({"request": {"exec": ["/nonexistent/program"]}}, {})
    with runner:
        outcome = runner.run("request")
        assert outcome.why in (Why.START, Why.EXIT)
        assert "could not be started: No such file" in outcome.reason


@pytest.mark.parametrize(
    ("then", "why"),
    [("print(1)", None), ("time.sleep(600)", Why.TIMEOUT), ("os._exit(9)", Why.EXIT)],
)
def test_nothing_that_a_job_started_outlives_it(tmp_path: Path, then: str, why: Why | None) -> None:
    path, source = family(tmp_path, then)
    with RunningRunner(tmp_path, {"request": source}, {"handler_seconds": 5}) as runner:
        outcome = runner.run("request")
        assert outcome.why is why, outcome.reason
        found = pids(path, 3)
        until(lambda: not any(alive(pid) for pid in found))
        assert runner.run("alert").why is Why.UNKNOWN  # and the runner is well


def test_a_job_ends_when_its_daemon_goes_away(tmp_path: Path) -> None:
    path, source = family(tmp_path, "time.sleep(600)")
    with RunningRunner(tmp_path, {"request": source}) as runner:
        line = runner.begin("request")
        found = pids(path, 3)
        line.close()
        until(lambda: not any(alive(pid) for pid in found))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_jobs_end_with_their_runner(tmp_path: Path, number: signal.Signals) -> None:
    path, source = family(tmp_path, "time.sleep(600)")
    with RunningRunner(tmp_path, {"request": source}) as runner:
        with runner.begin("request") as line:
            found = pids(path, 3)
            runner.end(number)
            assert line.recv(1) == b""
        until(lambda: not any(alive(pid) for pid in found))


def test_what_a_killed_keeper_held_is_swept_up(tmp_path: Path) -> None:
    path, source = family(tmp_path, "os.kill(os.getppid(), 9); time.sleep(600)")
    with RunningRunner(tmp_path, {"request": source}) as runner:
        assert runner.run("request").why is Why.SIGNAL
        found = pids(path, 3)
        until(lambda: not any(alive(pid) for pid in found))


def test_no_more_run_at_once_than_may_and_the_others_wait_their_turn(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    source = f"""
import json, os, time
own = os.path.join({str(marks)!r}, os.environ["FLEET_AGENT_MESSAGE"])
open(own, "w").close()
count = len(os.listdir({str(marks)!r}))
while not os.path.exists({str(tmp_path / "go")!r}):
    time.sleep(0.01)
os.unlink(own)
print(json.dumps(count))
"""
    with RunningRunner(tmp_path, {"request": source}, {"handler_jobs": 2}) as runner:
        lines = [runner.begin("request", id_=f"m-{number}") for number in range(5)]
        until(lambda: len(list(marks.iterdir())) == 3)  # one place is for an alert
        (tmp_path / "go").touch()
        counts = [json.loads(heard(line).output) for line in lines]
        assert max(counts) == 3
        for line in lines:
            line.close()


@pytest.mark.parametrize(
    "order",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b'{"v":2,"run":"request","id":"m","bytes":0}\n',
        b"x" * 20_000,
        b'{"v":1,"run":"request","id":"m","bytes":99999999999}\n',
        b'{"v":1,"run":["request"],"id":"m","bytes":0}\n',
        b'{"v":1,"run":"request","id":"m","bytes":-1}\n',
    ],
)
def test_an_order_that_is_none_is_cut_off(tmp_path: Path, order: bytes) -> None:
    with RunningRunner(tmp_path, {"request": ECHO}) as runner:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(SECONDS)
            line.connect(runner.path)
            line.sendall(order)
            # A reset: it closed before it had read everything.
            with contextlib.suppress(ConnectionResetError):
                assert line.recv(1) == b""
        assert runner.run("request", b"{}").why is None
