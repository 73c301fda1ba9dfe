"""Each check of /health: when it passes, when it warns, when it fails, and with which words."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.gateway import checks
from fleet_agent.gateway.installed import Installed
from fleet_agent.limits import Limits
from fleet_agent.wire import Health
from tests.unit.gateway.gatewayparts import serving


def release(home: Path, name: str, wizards: dict[str, Any]) -> str:
    folder = home / "releases" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"v": 1, "wizards": wizards}))
    return str(folder)


def switch(home: Path, name: str) -> None:
    (home / "new").symlink_to(f"releases/{name}")
    (home / "new").rename(home / "current")


def test_a_release_with_the_same_input_is_no_reason_to_restart(tmp_path: Path) -> None:
    started = release(tmp_path, "r1", {"ezra": {"input": "aa"}})
    release(tmp_path, "r2", {"ezra": {"input": "aa"}, "other": {"input": "x"}})
    switch(tmp_path, "r1")
    ids, look = checks.release_check(Installed(str(tmp_path), started, "ezra"))
    assert look().status is Health.PASS
    switch(tmp_path, "r2")
    assert look().status is Health.PASS
    assert ids() == ("r1", "aa", "r2")


def test_a_release_with_another_input_waits_for_a_restart(tmp_path: Path) -> None:
    started = release(tmp_path, "r1", {"ezra": {"input": "aa"}})
    release(tmp_path, "r2", {"ezra": {"input": "bb"}})
    switch(tmp_path, "r1")
    ids, look = checks.release_check(Installed(str(tmp_path), started, "ezra"))
    switch(tmp_path, "r2")
    found = look()
    assert found.status is Health.WARN
    assert "r2 is installed" in found.reason
    assert ids().running == "aa"


@pytest.mark.parametrize("damage", ["no link", "no manifest", "other wizards", "not JSON"])
def test_an_installed_release_that_cannot_be_read_warns(tmp_path: Path, damage: str) -> None:
    started = release(tmp_path, "r1", {"ezra": {"input": "aa"}})
    switch(tmp_path, "r1")
    ids, look = checks.release_check(Installed(str(tmp_path), started, "ezra"))
    if damage == "no link":
        (tmp_path / "current").unlink()
    else:
        folder = release(tmp_path, "r2", {"bezalel": {"input": "x"}})
        if damage == "no manifest":
            os.unlink(folder + "/manifest.json")
        elif damage == "not JSON":
            Path(folder, "manifest.json").write_text("{")
        switch(tmp_path, "r2")
    found = look()
    assert found.status is Health.WARN
    assert str(tmp_path) in found.reason
    assert ids() == ("r1", "aa", "")


@pytest.mark.parametrize(
    ("warn_at", "status"),
    [(1, Health.PASS), (None, Health.WARN)],
)
def test_little_disk_warns(tmp_path: Path, warn_at: int | None, status: Health) -> None:
    state = os.statvfs(tmp_path)
    free = state.f_bavail * state.f_frsize // 1024**2
    limit = warn_at or min(free * 2, 1_000_000)
    found = checks.disk_check(str(tmp_path), lambda: Limits({"health_disk_free_mib": limit}))()
    assert found.status is status
    assert (found.reason == "") == (status is Health.PASS)


def test_hardly_any_disk_fails() -> None:
    found = checks.disk_check("/proc", lambda: Limits({"health_disk_free_mib": 256}))()
    assert found.status is Health.FAIL
    assert "0 MiB are free" in found.reason


def test_a_folder_that_is_gone_fails(tmp_path: Path) -> None:
    found = checks.disk_check(str(tmp_path / "gone"), Limits)()
    assert found.status is Health.FAIL
    assert "No such file" in found.reason


def test_a_long_stall_warns() -> None:
    longest = [900.0]
    look = checks.stall_check(lambda: longest[0], lambda: Limits({"health_stall_ms": 1000}))
    assert look().status is Health.PASS
    longest[0] = 1200.4
    assert (look().status, look().value) == (Health.WARN, 1200.4)
    assert "1200 ms" in look().reason


def test_uptime_counts_from_the_start() -> None:
    clock = [100.0]
    look = checks.uptime_check(lambda: clock[0])
    clock[0] = 161.25
    assert (look().value, look().unit) == (61.2, "s")


def test_unsigned_allow_warns() -> None:
    assert checks.trust_check(serving())().status is Health.PASS
    found = checks.trust_check(serving(unsigned=True))()
    assert (found.status, found.value) == (Health.WARN, "allow")


def test_a_reload_that_was_not_taken_warns() -> None:
    one = serving()
    look = checks.reload_check(one)
    assert look().status is Health.PASS
    one.reload_failure = "line 3: unknown key"
    assert "line 3: unknown key" in look().reason


def test_without_a_soul_there_is_nothing_to_compare() -> None:
    assert checks.soul_check(lambda: None)().status is Health.PASS


def test_a_hook_without_its_secret_warns() -> None:
    reasons = [""]
    look = checks.hook_check(lambda: reasons[0])
    assert look().status is Health.PASS
    reasons[0] = "no webhook can be believed: none of the files exists"
    assert (look().status, look().reason) == (Health.WARN, reasons[0])
