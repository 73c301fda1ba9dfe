"""Programs are run to their end, or ended: late ones, and those that say too much."""

from __future__ import annotations

import sys
import threading

import pytest

from fleet_agent import proc
from fleet_agent.proc import ProcessError, SaidTooMuch

LATE_S = 60.0


def python(text: str, **more: object) -> proc.Completed:
    return proc.run([sys.executable, "-I", "-S", "-c", text], timeout_seconds=LATE_S, **more)  # type: ignore[arg-type]


def test_both_outputs_are_read_while_a_large_input_is_written() -> None:
    echo = (
        "import sys; data = sys.stdin.buffer.read(); "
        "sys.stdout.buffer.write(data); sys.stderr.buffer.write(data)"
    )
    data = bytes(range(256)) * 4096
    done = python(echo, stdin=data)
    assert (done.out, done.err) == (data, data)


def test_a_program_that_reads_nothing_of_its_input_ends_as_it_likes() -> None:
    done = python("import sys; sys.exit(3)", stdin=b"x" * 1_000_000, check=False)
    assert done.code == 3


def test_a_program_that_speaks_without_end_is_ended_and_not_held_in_memory() -> None:
    flood = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
    with pytest.raises(SaidTooMuch, match="wrote more than 1000000 bytes"):
        python(flood, most_bytes=1_000_000)


def test_what_goes_to_standard_error_counts_too() -> None:
    flood = "import sys\nwhile True: sys.stderr.write('x' * 65536)"
    with pytest.raises(SaidTooMuch, match="wrote more than"):
        python(flood, most_bytes=1_000_000)


def test_a_program_that_speaks_all_the_time_is_late_all_the_same() -> None:
    chatter = "import time\nwhile True: print('x', flush=True); time.sleep(0.01)"
    with pytest.raises(ProcessError, match=r"did not end within 0\.5 s"):
        proc.run([sys.executable, "-I", "-S", "-c", chatter], timeout_seconds=0.5)


def test_a_child_that_keeps_the_output_open_is_ended_with_its_group() -> None:
    text = (
        "import subprocess, sys; "
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1e6)'])"
    )
    with pytest.raises(ProcessError, match="did not end within"):
        proc.run([sys.executable, "-I", "-S", "-c", text], timeout_seconds=1.0)


def test_a_failing_program_is_told_with_its_last_words() -> None:
    with pytest.raises(ProcessError, match=r"ended with 7: no luck"):
        python("import sys; print('no luck', file=sys.stderr); sys.exit(7)")


def test_a_program_gets_no_more_memory_than_it_may_have() -> None:
    # It waits for its input, so that the limit is there before it asks for memory.
    text = "import sys; sys.stdin.read(); x = bytearray(1 << 30)"
    running = proc.start(
        [sys.executable, "-I", "-S", "-c", text], stdin=True, memory_bytes=256 * 1024 * 1024
    )
    _, err = running.communicate(b"", timeout=LATE_S)
    assert running.returncode == 1
    assert b"MemoryError" in err


def test_many_run_at_once() -> None:
    seen: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: seen.append(python("print('x' * 100000)").out))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(one) for one in seen] == [100001] * 8
