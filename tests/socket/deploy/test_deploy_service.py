"""The command deploy-service as systemd runs it: socket handed over, notified, handed on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import fleet_agent
from fleet_agent.deploy.client import Client, NoService
from fleet_agent.deploy.paths import DeployPaths
from fleet_agent.services.handover import Handover
from tests.deploy_world import HERE, Repository, until

PACKAGE = Path(fleet_agent.__file__).parent
ENTRY = """\
import os, sys
sys.path[0] = os.path.dirname(os.path.realpath(__file__))
from fleet_agent.cli.main import entry
entry()
"""


def make_release(root: Path, name: str, *, broken: bool = False) -> Path:
    """A release whose code is ours, made current."""
    code = root / "releases" / name / "code"
    shutil.copytree(
        PACKAGE, code / "fleet_agent", symlinks=True,
        ignore=shutil.ignore_patterns("__pycache__", "share"),
    )  # fmt: skip
    (code / "__main__.py").write_text("raise SystemExit(1)\n" if broken else ENTRY)
    fresh = root / "fresh"
    fresh.symlink_to(code.parent)
    fresh.replace(root / "current")
    return code


class Unit:
    """The service as a unit: its socket is ours, and it tells us when it is ready."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.path = str(place / "deploy.sock")
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(self.path)
        self.listening.listen(16)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(place / "notify"))
        self.notify.settimeout(30)
        (place / "state").mkdir()
        (place / "root").mkdir()

    def start(self) -> subprocess.Popen[bytes]:
        """Start it as systemd does: descriptor 3, LISTEN_PID, NOTIFY_SOCKET."""
        script = (
            "import os,sys\nos.dup2(int(sys.argv[1]), 3)\nos.set_inheritable(3, True)\n"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\n"
            "os.execv(sys.executable, [sys.executable, '-m', 'fleet_agent', *sys.argv[2:]])\n"
        )
        words = ["deploy-service", "--state", str(self.place / "state"), "--socket", self.path]
        words += ["--root", str(self.place / "root")]
        fd = self.listening.fileno()
        with (self.place / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", script, str(fd), *words], cwd=HERE.parent, pass_fds=[fd],
                env={**os.environ, "NOTIFY_SOCKET": str(self.place / "notify")},
                stdout=log, stderr=log,
            )  # fmt: skip

    def ready(self) -> str:
        """Wait for READY=1; the status with it."""
        said = self.notify.recv(4096).decode()
        assert said.startswith("READY=1"), said
        return said.partition("STATUS=")[2]


def test_it_answers_at_the_socket_that_systemd_holds_and_tells_when_it_is_ready(
    tmp_path: Path,
) -> None:
    unit = Unit(tmp_path)
    running = unit.start()
    try:
        assert str(PACKAGE.parent) in unit.ready()
        assert Client(unit.path).ask("list")["deploys"] == []
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
        assert os.path.exists(unit.path)
    finally:
        running.kill()


def test_with_the_real_pipeline_a_commit_that_is_no_fleet_is_refused_with_the_file(
    tmp_path: Path, repository: Repository
) -> None:
    unit = Unit(tmp_path)
    repository.tag("PROD", repository.commit("one"))
    (tmp_path / "state" / "first.json").write_text(json.dumps({"repository": str(repository.path)}))
    running = unit.start()
    try:
        lines = []
        client = Client(unit.path)
        client.ask("deploy")
        lines = list(client.follow(1))
        assert lines[-1]["deploy"]["state"] == "failed"
        assert lines[-1]["deploy"]["reason"].startswith("site.yml: the repository has no site.yml")
    finally:
        running.kill()
        running.wait()


def test_a_release_s_code_takes_over_at_the_start_and_the_next_one_between_deploys(
    tmp_path: Path, repository: Repository
) -> None:
    unit = Unit(tmp_path)
    repository.tag("PROD", repository.commit("one"))
    (tmp_path / "state" / "first.json").write_text(json.dumps({"repository": str(repository.path)}))
    first = make_release(tmp_path / "root", "first")
    running = unit.start()
    try:
        assert unit.ready().endswith(str(first))
        make_release(tmp_path / "root", "second")
        Client(unit.path).ask("deploy")  # the worker wakes, works it, and looks at what is current
        assert unit.ready().endswith("second/code")
        assert running.poll() is None  # the same process, and its socket is the one handed over
        assert [one["id"] for one in Client(unit.path).ask("list")["deploys"]] == [1]
    finally:
        running.kill()
        running.wait()


def test_who_asks_while_it_hands_over_waits_for_the_next_one_and_is_answered(
    tmp_path: Path, repository: Repository
) -> None:
    unit = Unit(tmp_path)
    repository.tag("PROD", repository.commit("one"))
    (tmp_path / "state" / "first.json").write_text(json.dumps({"repository": str(repository.path)}))
    make_release(tmp_path / "root", "first")
    running = unit.start()
    try:
        assert unit.ready().endswith("first/code")
        make_release(tmp_path / "root", "second")
        client = Client(unit.path)
        client.ask("deploy")
        asked = 0
        unit.notify.setblocking(False)
        deadline = time.monotonic() + 60
        while not handed_over(unit):  # all the time, none is refused
            assert client.ask("list")["ok"]
            asked += 1
            assert time.monotonic() < deadline
        assert asked
        assert running.poll() is None
    finally:
        running.kill()
        running.wait()


def handed_over(unit: Unit) -> bool:
    try:
        return unit.ready().endswith("second/code")
    except BlockingIOError:
        return False


def test_a_process_whose_unit_has_changed_leaves_its_next_start_to_systemd(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    unit = tmp_path / "fleet-deploy.service"
    drop_in = tmp_path / "fleet-deploy.service.d" / "more.conf"
    paths = DeployPaths(str(tmp_path), str(root), str(tmp_path / "s"))

    def started(text: str) -> Handover:
        unit.write_text(text)
        return Handover(paths, str(PACKAGE.parent), os.environ, str(unit))

    drop_in.parent.mkdir()
    code = str(make_release(root, "good"))
    for change in (
        lambda: unit.write_text("[Service]\nUser=other\n"),
        unit.unlink,
        lambda: drop_in.write_text("[Service]\n"),
    ):
        taking = started("[Service]\n")
        assert taking.in_place() is None  # nobody has looked for a successor yet
        assert taking.stale()
        assert taking.in_place() == code
        change()
        assert taking.in_place() is None


def test_code_that_cannot_start_is_not_handed_over_to(tmp_path: Path) -> None:
    unit = Unit(tmp_path)
    make_release(tmp_path / "root", "broken", broken=True)
    running = unit.start()
    try:
        assert unit.ready().endswith(str(PACKAGE.parent))
        assert "cannot take over" in (tmp_path / "log").read_text()
    finally:
        running.kill()
        running.wait()


def test_what_was_tried_in_vain_is_not_tried_again(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    paths = DeployPaths(str(tmp_path), str(root), str(tmp_path / "s"))
    looking = Handover(paths, str(PACKAGE.parent), os.environ)
    assert looking.successor() is None  # nothing is current
    code = make_release(root, "broken", broken=True)
    assert not looking.stale()
    (code / "__main__.py").write_text(ENTRY)
    assert not looking.stale()
    good = make_release(root, "good")
    assert looking.successor() == str(good)
    own = Handover(paths, str(good), os.environ)
    assert own.successor() is None


def test_without_a_handed_socket_it_makes_its_own(tmp_path: Path) -> None:
    path = str(tmp_path / "own" / "deploy.sock")
    argv = [sys.executable, "-m", "fleet_agent", "deploy-service", "--state", str(tmp_path / "s")]
    running = subprocess.Popen(
        [*argv, "--socket", path, "--root", str(tmp_path / "r")],
        cwd=HERE.parent, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def answers() -> bool:
        try:
            return bool(Client(path).ask("list")["ok"])
        except NoService:
            return False

    try:
        until(answers, "an answer")
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
    finally:
        running.kill()
