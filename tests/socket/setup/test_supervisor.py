"""The demo's supervisor with real processes, sockets and unit files."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.node.layout import Layout
from fleet_agent.node.units import Ref, Units

CALL = Path(__file__).parents[3] / "fleet_agent/setup/supervisor/call.py"
WAIT_S = 20.0

DAEMON = """
import os, signal, socket, sys, time
inherited = []
if os.environ.get("LISTEN_PID") == str(os.getpid()):
    names = os.environ["LISTEN_FDNAMES"].split(":")
    inherited = [(name, socket.socket(fileno=3 + n)) for n, name in enumerate(names)]
print("started with", [name for name, _ in inherited], flush=True)
signal.signal(signal.SIGHUP, lambda *_: print("reloaded", flush=True))
if "NOTIFY_SOCKET" in os.environ:
    time.sleep(float(os.environ.get("SLOW", "0")))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1))
        s.send(b"READY=1\\nSTATUS=serving")
while True:
    if inherited:
        peer, _ = inherited[0][1].accept()
        peer.sendall(f"{os.getpid()} {os.environ['INVOCATION_ID']}".encode())
        peer.close()
    else:
        signal.pause()
"""


class Node:
    """A node's folder with its supervisor."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.units = root / "etc/systemd/system"
        self.units.mkdir(parents=True)
        (root / "opt/fleet-agent").mkdir(parents=True)
        (root / "opt/fleet-agent/daemon.py").write_text(DAEMON)
        self.process: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Start the supervisor and wait until it answers."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fleet_agent.setup.supervisor", "--root", str(self.root), "run"]
        )
        until(lambda: self.ask("systemctl", "is-system-running")[0] == 0)

    def halt(self, number: int = signal.SIGTERM) -> None:
        """End the supervisor."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(WAIT_S)
            self.process = None

    def argv(self, *words: str) -> list[str]:
        """A line for this node."""
        return [sys.executable, "-I", "-S", str(CALL), str(self.root), *words]

    def ask(self, *words: str) -> tuple[int, str]:
        """Code and output of a line."""
        done = subprocess.run(self.argv(*words), capture_output=True, check=False, timeout=60)
        return done.returncode, (done.stdout + done.stderr).decode()

    def unit(self, name: str, text: str) -> None:
        """Write a unit file."""
        path = self.units / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def show(self, name: str, key: str) -> str:
        """One property."""
        return self.ask("systemctl", "show", "-p", key, "--value", name)[1].strip()

    def said(self, name: str) -> str:
        """The last lines of a unit."""
        return self.ask("journalctl", "-u", name, "-n", "30", "-o", "cat")[1]


def until(true: object) -> None:
    """Wait until a callable says yes."""
    assert callable(true)
    end = time.monotonic() + WAIT_S
    while not true():
        if time.monotonic() > end:
            pytest.fail("it did not come to pass")
        time.sleep(0.02)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "node")
    made.boot()
    yield made
    made.halt()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


NOTIFY = """
[Unit]
Description=A daemon
[Service]
Type=notify
ExecStart=/usr/bin/python3 -I -S /opt/fleet-agent/daemon.py
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=50ms
[Install]
WantedBy=multi-user.target
"""


def test_start_returns_when_a_notify_service_is_ready(node: Node) -> None:
    node.unit("a.service", NOTIFY + "[Service]\nEnvironment=SLOW=0.5\n")
    assert node.ask("systemctl", "start", "a") == (0, "")
    assert node.show("a", "ActiveState") == "active"
    assert node.show("a", "StatusText") == "serving"
    assert int(node.show("a", "MainPID")) > 1
    assert "started with []" in node.said("a.service")


def test_a_service_that_ends_before_it_is_ready_fails_its_start(node: Node) -> None:
    node.unit("a.service", "[Service]\nType=notify\nExecStart=/bin/sh -c 'echo woe; exit 7'\n")
    code, text = node.ask("systemctl", "start", "a.service")
    assert code == 1
    assert "Result=exit-code" in text
    assert node.show("a", "ActiveState") == "failed"
    assert node.show("a", "ExecMainStatus") == "7"
    assert "woe" in node.said("a")


def test_a_program_that_is_not_there_ends_with_203(node: Node) -> None:
    node.unit("a.service", "[Service]\nType=notify\nExecStart=/nowhere/at-all\n")
    assert node.ask("systemctl", "start", "a")[0] == 1
    assert node.show("a", "ExecMainStatus") == "203"


def test_a_killed_daemon_is_started_again_and_counted(node: Node) -> None:
    node.unit("a.service", NOTIFY)
    node.ask("systemctl", "start", "a")
    first = int(node.show("a", "MainPID"))
    os.kill(first, signal.SIGKILL)
    until(lambda: node.show("a", "MainPID") not in {"0", str(first)})
    until(lambda: node.show("a", "SubState") == "running")
    assert node.show("a", "NRestarts") == "1"


def test_the_sixth_start_within_ten_seconds_is_refused_until_reset(node: Node) -> None:
    node.unit("a.service", "[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=1ms\n")
    node.ask("systemctl", "start", "a")
    until(lambda: node.show("a", "Result") == "start-limit-hit")
    assert node.ask("systemctl", "start", "a")[0] == 1
    node.unit("a.service", NOTIFY)
    assert node.ask("systemctl", "start", "a")[0] == 1
    assert node.ask("systemctl", "reset-failed", "a")[0] == 0
    assert node.ask("systemctl", "start", "a") == (0, "")


def test_stop_leaves_nothing_of_the_group_alive(node: Node) -> None:
    node.unit("a.service", "[Service]\nExecStart=/bin/sh -c 'sleep 600 & echo $$!; wait'\n")
    node.ask("systemctl", "start", "a")
    until(lambda: any(line.isdigit() for line in node.said("a").splitlines()))
    child = next(int(line) for line in node.said("a").splitlines() if line.isdigit())
    assert Path(f"/proc/{child}").exists()
    node.ask("systemctl", "stop", "a")
    assert node.show("a", "ActiveState") == "inactive"
    until(lambda: not alive(child))


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_reload_sends_what_the_unit_says(node: Node) -> None:
    node.unit("a.service", NOTIFY)
    node.ask("systemctl", "start", "a")
    pid = node.show("a", "MainPID")
    assert node.ask("systemctl", "reload", "a") == (0, "")
    until(lambda: "reloaded" in node.said("a"))
    assert node.show("a", "MainPID") == pid


def test_a_socket_outlives_its_service_and_starts_it(node: Node) -> None:
    port = free_port()
    node.unit("w@.service", "[Unit]\nRequires=w@%i.socket\n" + NOTIFY)
    node.unit(
        "w@.socket",
        f"[Socket]\nListenStream=127.0.0.1:{port}\nFileDescriptorName=gateway\nFreeBind=yes\n",
    )
    node.ask("systemctl", "start", "w@ezra.socket")

    def answer() -> list[str]:
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as peer:
            return peer.recv(200).decode().split()

    first = answer()
    assert "started with ['gateway']" in node.said("w@ezra")
    assert first == [node.show("w@ezra", "MainPID"), node.show("w@ezra", "InvocationID")]
    node.ask("systemctl", "restart", "w@ezra")
    assert answer()[0] not in {first[0], "0"}
    node.ask("systemctl", "stop", "w@ezra")
    assert answer()[0] == node.show("w@ezra", "MainPID")


def test_starting_a_socket_under_a_running_service_is_refused(node: Node) -> None:
    node.unit("a.service", NOTIFY)
    node.unit("a.socket", f"[Socket]\nListenStream=127.0.0.1:{free_port()}\n")
    node.ask("systemctl", "start", "a.service")
    code, text = node.ask("systemctl", "start", "a.socket")
    assert code == 1
    assert "already active, refusing" in text


def test_a_port_in_use_fails_the_socket(node: Node) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        node.unit("a.service", NOTIFY)
        node.unit("a.socket", f"[Socket]\nListenStream=127.0.0.1:{port}\n")
        assert node.ask("systemctl", "start", "a.socket")[0] == 1
    assert node.show("a.socket", "ActiveState") == "failed"
    assert node.show("a.socket", "Result") == "resources"


def test_drop_ins_are_read_and_need_a_daemon_reload(node: Node) -> None:
    node.unit("a.service", NOTIFY)
    node.ask("systemctl", "start", "a")
    assert node.show("a", "NeedDaemonReload") == "no"
    node.unit("a.service.d/10.conf", "[Service]\nEnvironment=SLOW=0\n")
    assert node.show("a", "NeedDaemonReload") == "yes"
    node.ask("systemctl", "daemon-reload")
    assert node.show("a", "NeedDaemonReload") == "no"
    assert node.show("a", "DropInPaths").endswith("a.service.d/10.conf")


def test_what_is_enabled_starts_at_boot(node: Node) -> None:
    node.unit("a.service", NOTIFY)
    assert node.ask("systemctl", "is-enabled", "a") == (1, "disabled\n")
    assert node.ask("systemctl", "enable", "a") == (0, "")
    assert node.ask("systemctl", "is-enabled", "a") == (0, "enabled\n")
    assert node.ask("systemctl", "is-active", "a")[0] == 3
    node.halt()
    node.boot()
    until(lambda: node.ask("systemctl", "is-active", "a") == (0, "active\n"))
    node.ask("systemctl", "disable", "--now", "a")
    assert node.ask("systemctl", "is-active", "-q", "a") == (3, "")


def test_runtime_max_sec_ends_a_service(node: Node) -> None:
    node.unit("a.service", "[Service]\nExecStart=/bin/sleep 600\nRuntimeMaxSec=300ms\n")
    node.ask("systemctl", "start", "a")
    until(lambda: node.show("a", "Result") == "timeout")
    assert node.show("a", "ActiveState") == "failed"


def test_show_answers_for_several_units_in_blocks_as_the_node_asks(node: Node) -> None:
    node.unit("a.service", NOTIFY)
    node.ask("systemctl", "start", "a.service")
    layout = Layout(str(node.root), tuple(node.argv("systemctl")), (), unprivileged=True)
    units = Units(layout, start_seconds=20)
    here, absent = Ref("a.service"), Ref("b.service")
    seen = units.show([here, absent])
    assert (seen[here].is_active, seen[absent].known) == (True, False)
    assert seen[here].pid > 1
    assert seen[here].started > 0
    units.enable([here])
    units.restart([here])
    again = units.show([here])[here]
    assert again.enabled
    assert again.invocation not in {"", seen[here].invocation}
    assert any("started with" in line for line in units.log(here, 0))
    units.stop([here, absent])
    assert not units.show([here])[here].is_active


def test_unknown_units_and_broken_files_say_so(node: Node) -> None:
    code, text = node.ask("systemctl", "start", "nobody.service")
    assert (code, "could not be found" in text) == (5, True)
    assert node.show("nobody.service", "LoadState") == "not-found"
    node.unit("a.service", "[Service\nExecStart=/bin/true\n")
    code, text = node.ask("systemctl", "start", "a")
    assert code == 1
    assert "a.service:1" in text


def test_no_process_outlives_a_killed_supervisor(node: Node) -> None:
    node.unit("a.service", NOTIFY)
    node.ask("systemctl", "start", "a")
    pid = int(node.show("a", "MainPID"))
    node.halt(signal.SIGKILL)
    until(lambda: not alive(pid))
