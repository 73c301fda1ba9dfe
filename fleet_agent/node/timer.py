"""The timer that puts a node back when nobody confirms, and time that no clock change moves."""

from __future__ import annotations

import os
import sys
import time
from typing import Final

from fleet_agent import proc
from fleet_agent.node.layout import Layout

_SECONDS: Final = 30.0


def unit(nonce: str) -> str:
    """The unit of the timer of one run, without its suffix."""
    return f"fleet-confirm-{nonce}"


def boot_id() -> str:
    """Which boot this is."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as source:
        return source.read().strip()


def uptime() -> float:
    """Seconds since boot, sleep included: deadlines are in it, so that no clock step moves them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def start(layout: Layout, nonce: str, seconds: float) -> None:
    """Let ``expire NONCE`` run after ``seconds``. Raises ProcessError when it can't be had."""
    argv = expire_argv(layout, nonce)
    if not layout.systemd_run:
        # In the demo a process of its own does what a timer does on a machine.
        log = os.open(f"{layout.node}/expire.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with open(log, "ab") as out:
            proc.start([*argv, "--wait"], out=out, err=out)
        return
    proc.run(
        [
            *layout.systemd_run,
            "--quiet",
            "--collect",
            f"--unit={unit(nonce)}",
            "--description=fleet-agent: puts this node back unless its deploy is confirmed",
            f"--on-active={seconds:g}",
            "--timer-property=AccuracySec=100ms",
            "--service-type=exec",
            "--",
            *argv,
        ],
        timeout_seconds=_SECONDS,
    )


def expire_argv(layout: Layout, nonce: str) -> list[str]:
    """The command that puts this node back, run from the code that runs now."""
    name = running_code()
    code = layout.pyz(name) if name else f"{layout.code}/node.pyz"
    root = [] if layout.root == "/" else ["--root", layout.root]
    return [layout.python, "-I", "-S", code, "expire", nonce, *root]


def running_code() -> str:
    """The sha256 that names the installed code that this process runs; empty if it is not that."""
    name = os.path.basename(sys.path[0])
    stem = name.removesuffix(".pyz")
    return stem if name.endswith(".pyz") and len(stem) == 64 else ""


def stop(layout: Layout, nonce: str, *, myself: bool = False) -> None:
    """Take the timer away, and its service unless that is ``myself``; gone already is as good."""
    if layout.systemd_run:
        name = unit(nonce)
        service = [] if myself else [f"{name}.service"]
        argv = [*layout.systemctl, "stop", f"{name}.timer", *service]
        proc.run(argv, timeout_seconds=_SECONDS, check=False)
