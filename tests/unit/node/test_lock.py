"""The lock between real processes: an older deploy is refused, a hung phase is ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleet_agent.errors import TryAgain
from fleet_agent.node import durable, lock
from fleet_agent.node.errors import Refused
from fleet_agent.node.journal import ARMED, CONFIRMED
from fleet_agent.node.layout import Layout
from tests.unit.node.test_journal import NONCE, a_journal, put

HOLD = """
import sys, time
from fleet_agent.node import lock
from fleet_agent.node.layout import Layout
layout = Layout(root=sys.argv[1], systemd_run=(), unprivileged=True)
with lock.taken(layout, lock.me(int(sys.argv[2]), sys.argv[3], sys.argv[4], "another run"), 5):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(root=str(tmp_path), systemd_run=(), unprivileged=True)


@contextmanager
def held_by(
    layout: Layout, deploy: int, phase: str = "services", nonce: str = NONCE
) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", HOLD, layout.root, str(deploy), nonce, phase]
    other = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield other
    finally:
        other.kill()
        other.wait()
        if other.stdout is not None:
            other.stdout.close()


def me(deploy: int, nonce: str = NONCE) -> lock.Holder:
    return lock.me(deploy, nonce, "deploy", "us")


def test_an_older_deploy_is_refused_at_once_and_told_who_came(layout: Layout) -> None:
    with held_by(layout, 9), pytest.raises(Refused) as refused, lock.taken(layout, me(8), 60):
        pass
    assert refused.value.seen == 9
    assert "another run" in refused.value.what


def test_an_older_deploy_is_refused_also_after_the_newer_one_has_gone(layout: Layout) -> None:
    with lock.taken(layout, me(9), 0):
        pass
    with pytest.raises(Refused), lock.taken(layout, me(8), 0):
        pass
    with lock.taken(layout, me(9), 0):
        pass


def test_a_journal_refuses_older_deploys_too(layout: Layout) -> None:
    durable.directory(layout.node)
    put(layout, a_journal(CONFIRMED, deploy=9))
    with pytest.raises(Refused, match="deploy 9, confirmed"), lock.taken(layout, me(8), 0):
        pass


def test_another_run_of_the_same_number_is_refused_while_the_first_is_unfinished(
    layout: Layout,
) -> None:
    durable.directory(layout.node)
    put(layout, a_journal(ARMED, deploy=9))
    with pytest.raises(Refused), lock.taken(layout, me(9, "f" * 16), 0):
        pass
    with lock.taken(layout, me(9), 0):
        pass
    put(layout, a_journal(CONFIRMED, deploy=9))
    with lock.taken(layout, me(9, "f" * 16), 0):
        pass


def test_a_phase_that_hangs_is_ended_by_a_newer_run(layout: Layout) -> None:
    with held_by(layout, 7) as other:
        with lock.taken(layout, me(8), 0.1):
            assert lock.last_holder(layout) == me(8)._replace(seen=8)
        assert other.wait(10) == -9


def test_the_nodes_own_way_back_is_never_cut_short(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_OWN_WAY_BACK_SECONDS", 0.2)
    with held_by(layout, 7, "the node's own way back") as other:
        with pytest.raises(TryAgain, match="own way back"), lock.taken(layout, me(8), 0.1):
            pass
        assert other.poll() is None


def test_the_nodes_own_way_back_is_refused_by_no_number_and_forgets_none(layout: Layout) -> None:
    with lock.taken(layout, me(9), 0):
        pass
    mine = lock.me(8, NONCE, "recovery at boot", "us")
    with lock.taken(layout, mine, 0, own=True):
        assert lock.last_holder(layout) == mine._replace(seen=9)
    with pytest.raises(Refused, match="deploy 9"), lock.taken(layout, me(8), 0):
        pass


def test_a_pid_that_another_process_has_now_is_left_alone(layout: Layout) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        gone = lock.me(7, NONCE, "deploy", "x")._replace(pid=bystander.pid, started=1, unit="")
        assert lock._end(layout, gone)
        time.sleep(0.05)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_the_lock_ends_with_its_holder(layout: Layout) -> None:
    with held_by(layout, 7) as other:
        os.kill(other.pid, 9)
        other.wait()
        with lock.taken(layout, me(7), 5):
            pass
