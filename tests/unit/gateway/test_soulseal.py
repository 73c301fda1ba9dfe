"""The soul against its seal: missing, changed, unreadable, and changed without a new date."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from fleet_agent.gateway.soulseal import SoulSeal
from fleet_agent.wire import Health

TEXT = b"Be kind.\n"
SEAL = hashlib.sha256(TEXT).hexdigest()


def seal(path: Path) -> SoulSeal:
    return SoulSeal(SEAL, str(path), "/home/ezra/SOUL.md")


def test_the_sealed_soul_passes(tmp_path: Path) -> None:
    (tmp_path / "soul").write_bytes(TEXT)
    assert seal(tmp_path / "soul").look() == (Health.PASS, "", SEAL)


def test_a_missing_soul_fails_and_says_where_it_should_be(tmp_path: Path) -> None:
    status, reason, _ = seal(tmp_path / "soul").look()
    assert (status, reason) == (Health.FAIL, "the soul is missing at /home/ezra/SOUL.md")


def test_another_soul_fails_with_both_seals(tmp_path: Path) -> None:
    (tmp_path / "soul").write_bytes(b"Be quick.\n")
    status, reason, found = seal(tmp_path / "soul").look()
    assert status is Health.FAIL
    assert SEAL[:12] in reason
    assert found[:12] in reason


def test_a_change_is_seen_at_the_next_look_and_so_is_its_mending(tmp_path: Path) -> None:
    path = tmp_path / "soul"
    path.write_bytes(TEXT)
    watched = seal(path)
    assert watched.look().status is Health.PASS
    path.write_bytes(b"Be mean.\n")
    assert watched.look().status is Health.FAIL
    path.unlink()
    assert watched.look().status is Health.FAIL
    path.write_bytes(TEXT)
    assert watched.look().status is Health.PASS


def test_a_change_that_hides_its_date_and_size_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "soul"
    path.write_bytes(TEXT)
    watched = seal(path)
    assert watched.look().status is Health.PASS
    before = path.stat()
    path.write_bytes(TEXT[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert watched.look().status is Health.FAIL


def test_a_folder_in_its_place_fails(tmp_path: Path) -> None:
    (tmp_path / "soul").mkdir()
    assert seal(tmp_path / "soul").look().status is Health.FAIL


def test_a_soul_out_of_sight_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The tests may run as root, who sees everything.
    def refuse(path: str) -> os.stat_result:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("fleet_agent.gateway.soulseal.os.stat", refuse)
    status, reason, _ = seal(tmp_path / "soul").look()
    assert status is Health.WARN
    assert "out of my sight" in reason
