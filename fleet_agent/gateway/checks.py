"""The checks of ``GET /health``: each a callable that looks once and cheaply.

Not for the answer's form (``health``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

from fleet_agent.gateway.clock import Clock
from fleet_agent.gateway.health import Check, Release
from fleet_agent.gateway.installed import Installed, ReleaseError
from fleet_agent.gateway.serving import Serving
from fleet_agent.gateway.soulseal import SoulSeal
from fleet_agent.limits import Limits
from fleet_agent.wire import Health

Look = Callable[[], Check]

_MIB: Final = 1024 * 1024


def release_check(installed: Installed) -> tuple[Callable[[], Release], Look]:
    """What runs and what is installed, and whether this wizard waits for its restart."""
    running_id, running = installed.running_id, installed.running

    def release() -> Release:
        try:
            return Release(running_id, running, installed.now()[0])
        except ReleaseError:
            return Release(running_id, running)

    def look() -> Check:
        try:
            name, wanted = installed.now()
        except ReleaseError as error:
            return Check("release:installed", Health.WARN, reason=f"the installed release: {error}")
        if wanted != running:
            reason = f"release {name} is installed, but this process still runs {running_id}'s code"
            return Check("release:installed", Health.WARN, name, reason=reason)
        return Check("release:installed", Health.PASS, name)

    return release, look


def soul_check(soul: Callable[[], SoulSeal | None]) -> Look:
    """The soul in force against its seal; without a soul there is nothing to look at."""

    def look() -> Check:
        seal = soul()
        if seal is None:
            return Check("soul:seal", Health.PASS)
        sight = seal.look()
        return Check("soul:seal", sight.status, sight.seal or None, reason=sight.reason)

    return look


def disk_check(folder: str, limits: Callable[[], Limits]) -> Look:
    """Free disk where the boxes lie, for who is not root, in MiB."""

    def look() -> Check:
        warn = limits()["health_disk_free_mib"]
        try:
            state = os.statvfs(folder)
        except OSError as error:
            return Check("disk:free", Health.FAIL, kind="system",
                         reason=f"{folder}: {error.strerror}")  # fmt: skip
        free = state.f_bavail * state.f_frsize // _MIB
        status = Health.FAIL if free < warn / 4 else Health.WARN if free < warn else Health.PASS
        reason = "" if status is Health.PASS else f"{free} MiB are free at {folder}"
        return Check("disk:free", status, free, "MiB", "system", reason)

    return look


def clock_check(clock: Clock) -> Look:
    """The wall clock; its value is Unix seconds."""

    def look() -> Check:
        status, reason = clock.look()
        return Check("clock:time", status, round(time.time(), 3), "s", "system", reason)

    return look


def stall_check(longest_ms: Callable[[], float], limits: Callable[[], Limits]) -> Look:
    """The longest time that the loop was kept from its work, in ms."""

    def look() -> Check:
        longest = longest_ms()
        over = longest > limits()["health_stall_ms"]
        reason = f"the loop stood still for {longest:.0f} ms (a slow disk?)" if over else ""
        status = Health.WARN if over else Health.PASS
        return Check("loop:stall", status, round(longest, 1), "ms", reason=reason)

    return look


def uptime_check(passed: Callable[[], float] = time.monotonic) -> Look:
    """Seconds since this process began to serve."""
    began = passed()
    return lambda: Check("uptime", Health.PASS, round(passed() - began, 1), "s", "system")


def trust_check(serving: Serving) -> Look:
    """Whether strangers are believed."""

    def look() -> Check:
        if serving.unsigned:
            reason = "unsigned: allow: whoever reaches this port is believed"
            return Check("bus:unsigned", Health.WARN, "allow", reason=reason)
        return Check("bus:unsigned", Health.PASS, "refuse")

    return look


def keys_check(serving: Serving) -> Look:
    """Which keys this daemon has read: their digest, the valid epochs, how many peers."""

    def look() -> Check:
        keyring = serving.keyring
        value = {
            "digest": keyring.digest,
            "epochs": list(keyring.epochs),
            "peers": len(keyring.peers),
        }
        return Check("bus:keys", Health.PASS, value)

    return look


def reload_check(serving: Serving) -> Look:
    """Whether the last reload was taken."""

    def look() -> Check:
        failure = serving.reload_failure
        reason = f"the last reload was not taken: {failure}" if failure else ""
        return Check("settings:reload", Health.WARN if failure else Health.PASS, reason=reason)

    return look


def hook_check(failure: Callable[[], str]) -> Look:
    """Whether the secrets of the webhooks could be read (orchestrator only)."""

    def look() -> Check:
        reason = failure()
        return Check("hook:secret", Health.WARN if reason else Health.PASS, reason=reason)

    return look
