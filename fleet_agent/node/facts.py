"""What a node must bring along before anything is sent to it; each check says how to mend it."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any, Final

from fleet_agent import proc
from fleet_agent.errors import NodeError
from fleet_agent.limits import Limits
from fleet_agent.node import accounts
from fleet_agent.node.desired import placements, runtime_ref
from fleet_agent.node.layout import OPT, VAR, Layout
from fleet_agent.node.place import ABSENT, FILE, LINK
from fleet_agent.node.present import Present
from fleet_agent.node.units import NO_MANAGER, Units
from fleet_agent.release.manifest import Manifest

OLDEST_PYTHON: Final = (3, 11)
OLDEST_SYSTEMD: Final = 252
_MIB: Final = 1024 * 1024
_SLOW_SUDO_SECONDS: Final = 1.0


def check_versions(layout: Layout, units: Units) -> None:
    """Python and systemd are new enough. Raises NodeError."""
    if sys.version_info < OLDEST_PYTHON:
        raise NodeError(
            f"python3 is {_python()}, 3.11 is needed",
            where=sys.executable,
            mend="install a newer python3 (Debian 12 and Ubuntu 24.04 have one)",
        )
    if not layout.systemd_run:
        return
    version = units.version()
    if version < OLDEST_SYSTEMD:
        raise NodeError(
            f"systemd is {version}, {OLDEST_SYSTEMD} is needed",
            where="systemctl --version",
            mend="upgrade this machine's distribution",
        )


def check_disk(layout: Layout, limits: Limits) -> int:
    """Free MiB where releases and state lie. Raises NodeError when it is less than the limit."""
    free = min(_free_mib(layout.at(path)) for path in (OPT, VAR))
    wanted = limits.whole("deploy_disk_free_mib")
    if free < wanted:
        raise NodeError(
            f"{free} MiB are free, {wanted} are needed",
            where=f"disk of {OPT} and {VAR}",
            mend="make room, or lower `deploy: {disk_free_mib: …}` in fleet.yaml",
        )
    return free


def _free_mib(path: str) -> int:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    seen = os.statvfs(path)
    return seen.f_bavail * seen.f_frsize // _MIB


def check_clock(asked_at: float | None, limits: Limits) -> float:
    """Seconds that this clock is ahead of the asker's. Raises NodeError above the limit."""
    if asked_at is None:
        return 0.0
    offset = round(time.time() - asked_at, 3)
    if abs(offset) > limits["deploy_clock_seconds"]:
        raise NodeError(
            f"the clock is {offset:+.0f} s off the orchestrator's",
            where="clock",
            mend="let systemd-timesyncd or chrony run on both",
        )
    return offset


def check_runtimes(wanted: Manifest, present: Present) -> None:
    """Units of the operator's own that a wizard names are there. Raises NodeError."""
    for wizard in wanted.wizards:
        ref = runtime_ref(wizard)
        if ref is None or ref.unit.startswith("fleet-wizard@"):
            continue
        state = present.states[ref]
        if state.load == NO_MANAGER:
            raise NodeError(
                f"the user's manager can't be asked: {state.sub}",
                where=f"{ref}, runtime of {wizard.name}",
                mend=f"loginctl enable-linger {ref.user}",
            )
        if not state.known:
            raise NodeError(
                f"there is no such unit ({state.load})",
                where=f"{ref}, runtime of {wizard.name}",
                mend="install it first, or correct `runtime:` in the registry",
            )


def check_places(wanted: Manifest, present: Present) -> None:
    """At every place lies a file, a link, or nothing. Raises NodeError."""
    for item in placements(wanted):
        kind = present.found[item.place].kind
        if kind not in (ABSENT, FILE, LINK):
            raise NodeError(
                f"a {kind} lies where a file is to be",
                where=item.place,
                mend="move it away, or name another place",
            )


def _python() -> str:
    return ".".join(str(part) for part in sys.version_info[:3])


def of_machine() -> dict[str, Any]:
    """Versions and names, for the record."""
    return {
        "python": _python(),
        "kernel": os.uname().release,
        "hostname": os.uname().nodename,
    }


def hints(layout: Layout, wanted: Manifest) -> tuple[str, ...]:
    """What is not wrong, but good to know."""
    found: list[str] = []
    if not layout.unprivileged:
        absent = accounts.missing(wanted)
        if absent:
            found.append(f"will be made: {', '.join(absent)}")
    for wizard in wanted.wizards:
        if wizard.user == "root":
            found.append(
                f"{wizard.name}: its agent is root, so nothing on this node is safe from it"
            )
        found += [
            f"{wizard.name}: {file.place} has mode {file.mode:04o}, so its user can't read it"
            for file in wizard.files
            if not file.mode & 0o044
        ]
    if layout.systemd_run and not _knows_itself(os.uname().nodename):
        slow = _sudo_seconds()
        if slow > _SLOW_SUDO_SECONDS:
            found.append(
                f"sudo takes {slow:.1f} s or more, because this host can't resolve its own name: "
                f"add `127.0.1.1 {os.uname().nodename}` to /etc/hosts"
            )
    return tuple(found)


def _knows_itself(name: str) -> bool:
    """Whether the host's own name is in /etc/hosts; then no DNS is asked for it."""
    try:
        with open("/etc/hosts", encoding="utf-8", errors="replace") as source:
            lines = source.read().splitlines()
    except OSError:
        return False
    return any(name in line.partition("#")[0].split()[1:] for line in lines)


def _sudo_seconds() -> float:
    """How long an empty sudo takes; a little more than what is too slow is enough to know."""
    began = time.monotonic()
    try:
        running = proc.start(["sudo", "-n", "true"])
    except proc.ProcessError:
        # No sudo here: whoever deploys comes as root.
        return 0.0
    while running.poll() is None and time.monotonic() - began < _SLOW_SUDO_SECONDS + 0.1:
        time.sleep(0.02)
    taken = time.monotonic() - began
    if running.poll() is None:
        os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    return taken
