"""A node: one systemd machine with its own overlay of a base tree, network and cgroups.

What it holds survives its power cuts and reboots; only the end of the lab takes it away.
"""

from __future__ import annotations

import shlex
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import cgroups
from .network import Cable
from .shell import Completed, LabError, call, wait_until
from .tree import Key

BOOT_LIMIT_S = 120.0
SHUTDOWN_LIMIT_S = 60.0
END_LIMIT_S = 15.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Joins the given cgroups, then becomes the machine: no process of it is ever outside of them.
ENTER = 'for group in $GROUPS_OF_NODE; do echo $$ > "$group/cgroup.procs"; done; exec "$@"'


@dataclass
class Node:
    """A machine of the lab; `suite` is "debian12" or "debian13", `address` what ssh reaches."""

    name: str
    address: str
    address_v6: str
    suite: str
    tree: Path
    place: Path
    console: Path
    cable: Cable
    key: Key
    _machine: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def full_name(self) -> str:
        """The name with the lab's prefix: of its network namespace, its cgroups, its machine."""
        return self.cable.namespace

    @property
    def root(self) -> Path:
        """The node's root directory as this machine sees it, for a look without the node's help."""
        return self.place / "root"

    @property
    def up(self) -> bool:
        """Whether the machine runs (booting counts)."""
        return self._machine is not None and self._machine.poll() is None

    # Power

    def prepare(self) -> None:
        """Mount the node's own copy of the tree and give it a host key, before the first boot."""
        for part in ("upper", "work", "root"):
            (self.place / part).mkdir(parents=True)
        upper, work = self.place / "upper", self.place / "work"
        layers = f"lowerdir={self.tree},upperdir={upper},workdir={work}"
        call(["mount", "-t", "overlay", self.full_name, "-o", layers, str(self.root)])
        host_key = self.root / "etc/ssh/ssh_host_ed25519_key"
        note = f"root@{self.name}"
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", note, "-f", str(host_key)]
        call(keygen)

    def power_on(self) -> None:
        """Start the machine without waiting for it."""
        if self.up:
            raise LabError(f"{self.name} is running already")
        self.sigkill()  # what is left of a machine that ended by itself
        self.cable.connect()
        groups = cgroups.make(self.full_name)
        nspawn = [
            "systemd-nspawn",
            "--quiet",
            f"--directory={self.root}",
            f"--machine={self.full_name}",
            f"--hostname={self.name}",
            "--register=no",
            "--keep-unit",
            "--boot",
            f"--network-namespace-path=/run/netns/{self.cable.namespace}",
            "--console=pipe",
        ]
        with self.console.open("ab") as console:
            self._machine = subprocess.Popen(
                ["sh", "-c", ENTER, "enter", *nspawn],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                # A Ctrl-C at the terminal is for the lab, which ends its machines in order.
                start_new_session=True,
                env={
                    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                    "GROUPS_OF_NODE": " ".join(map(str, groups)),
                    # Debian 13's systemd refuses to run on cgroup v1, whatever this machine has.
                    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
                    # The lab has a lock of its own; nspawn's would outlive every power cut.
                    "SYSTEMD_NSPAWN_LOCK": "0",
                },
            )

    def boot(self, timeout_s: float = BOOT_LIMIT_S) -> float:
        """Start the machine and wait until it is up; the seconds that took."""
        began = time.monotonic()
        self.power_on()
        self.wait_up(timeout_s)
        return time.monotonic() - began

    def wait_up(self, timeout_s: float = BOOT_LIMIT_S) -> None:
        """Wait until root can log in and `systemctl is-system-running` says running."""
        said = ""

        def running() -> bool:
            nonlocal said
            if not self.up:
                raise LabError(f"{self.name} ended while booting\n{self.last_words()}")
            ask = self.run(["systemctl", "is-system-running"], check=False, timeout_s=20)
            said = ask.stdout.strip() or ask.stderr.strip()
            if said == "degraded":
                failed = self.run(["systemctl", "--failed", "--no-legend", "--plain"]).stdout
                raise LabError(f"{self.name} is degraded:\n{failed}")
            return said == "running"

        try:
            wait_until(running, timeout_s=timeout_s, what=f"boot of {self.name}", every_s=0.1)
        except LabError as failure:
            raise LabError(f"{failure}\nlast answer: {said}\n{self.last_words()}") from failure

    def sigkill(self) -> None:
        """Cut the power: every process ends at once, no peer is told, what is in files stays."""
        if self._machine is None:
            return
        self.cable.lose_power()
        self._machine.kill()
        self._machine.wait(END_LIMIT_S)
        cgroups.kill(cgroups.of(self.full_name))
        self.cable.release()
        self._machine = None

    def shutdown(self, timeout_s: float = SHUTDOWN_LIMIT_S) -> float:
        """Shut down in order (units are stopped) and return the seconds that took."""
        if self._machine is None:
            return 0.0
        began = time.monotonic()
        self._machine.send_signal(signal.SIGTERM)
        try:
            self._machine.wait(timeout_s)
        except subprocess.TimeoutExpired as late:
            raise LabError(f"{self.name}: shutdown took more than {timeout_s:g} s") from late
        finally:
            self.sigkill()
        return time.monotonic() - began

    def reboot(self) -> float:
        """Shut down in order and boot; the seconds until it is up again."""
        return self.shutdown() + self.boot()

    # Looking and doing

    def ssh_argv(self, command: list[str] | None = None) -> list[str]:
        """The ssh command line of the operator's side, from anywhere on this machine."""
        options = {
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "GlobalKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
            "ConnectTimeout": "5",
            "ControlPath": "none",
        }
        argv = ["ip", "netns", "exec", self.cable.operator, "ssh", "-F", "none"]
        argv += ["-i", str(self.key.private)]
        for name, value in options.items():
            argv += ["-o", f"{name}={value}"]
        argv.append(f"root@{self.address}")
        return argv if command is None else [*argv, "--", shlex.join(command)]

    def run(
        self,
        command: list[str],
        *,
        check: bool = True,
        timeout_s: float = 60.0,
        stdin: str | bytes = "",
    ) -> Completed:
        """Run `command` as root over ssh; exit 255 is ssh's own failure."""
        argv = self.ssh_argv(command)
        return call(argv, check=check, timeout_s=timeout_s, stdin=stdin)

    def inside(
        self, command: list[str], *, check: bool = True, timeout_s: float = 60.0
    ) -> Completed:
        """Run `command` as root in the machine without network or sshd, also when it is cut off."""
        enter = ["nsenter", f"--target={self.init_pid()}", "--all", "--wd=/", "--"]
        clean = ["env", "-i", f"PATH={PATH}", "LANG=C.UTF-8"]
        return call([*enter, *clean, *command], check=check, timeout_s=timeout_s)

    def init_pid(self) -> int:
        """The process id, on this machine, of the node's systemd."""
        if self._machine is None or not self.up:
            raise LabError(f"{self.name} is off")
        task = Path(f"/proc/{self._machine.pid}/task/{self._machine.pid}/children")
        for child in task.read_text().split():
            for line in Path(f"/proc/{child}/status").read_text().splitlines():
                if line.startswith("NSpid:") and line.split()[-1] == "1":
                    return int(child)
        raise LabError(f"{self.name} has no init yet")

    def read(self, path: str) -> str:
        """The content of a file of the node."""
        return self.run(["cat", path]).stdout

    def put(self, path: str, content: str | bytes, mode: str = "0644") -> None:
        """Write a file of the node, its directories made."""
        self.run(["install", "-D", "-m", mode, "/dev/stdin", path], stdin=content)

    def journal(self, unit: str, lines: int = 200) -> str:
        """The last lines of a unit's journal, without time stamps."""
        argv = ["journalctl", "--no-pager", "-o", "cat", "-n", str(lines), "-u", unit]
        return self.inside(argv).stdout

    def pid(self, unit: str) -> int:
        """The main process of a unit by the node's own counting; 0 when it does not run."""
        return int(self.inside(["systemctl", "show", "-P", "MainPID", unit]).stdout or 0)

    def last_words(self, lines: int = 40) -> str:
        """What the machine last said on its console and in its journal, also when it is off."""
        said = self.console.read_text(errors="replace") if self.console.exists() else ""
        journal = f"--directory={self.root}/var/log/journal"
        argv = ["journalctl", journal, "--no-pager", "-o", "short-precise", "-n", str(lines)]
        told = call(argv, check=False).stdout.splitlines()
        return "\n".join([f"--- {self.name}", *said.splitlines()[-lines:], *told[-lines:]])
