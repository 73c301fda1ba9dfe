"""The soul against its seal: missing, changed, unreadable, and changed without a new date."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fleet_agent.gateway.soulseal import SoulSeal
from fleet_agent.wire import Health

TEXT = b"Be kind.\n"
SEAL = hashlib.sha256(TEXT).hexdigest()


def seal(*paths: Path) -> SoulSeal:
    return SoulSeal(SEAL, "/home/ezra/SOUL.md", [str(path) for path in paths])


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


def closed(monkeypatch: pytest.MonkeyPatch, *closed: Path) -> None:
    """Let some paths not be opened: the tests may run as root, who sees everything."""
    whole = os.open
    names = [str(path) for path in closed]

    def refuse(path: str, flags: int) -> int:
        if path in names:
            raise PermissionError(13, "Permission denied", path)
        return whole(path, flags)

    monkeypatch.setattr(
        "fleet_agent.gateway.soulseal.os", SimpleNamespace(**{**vars(os), "open": refuse})
    )


def test_a_soul_out_of_sight_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed(monkeypatch, tmp_path / "a", tmp_path / "b")
    status, reason, _ = seal(tmp_path / "a", tmp_path / "b").look()
    assert status is Health.WARN
    assert "out of my sight" in reason


def test_the_second_view_is_used_where_the_first_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed(monkeypatch, tmp_path / "folder/SOUL.md")
    (tmp_path / "soul.file").write_bytes(TEXT)
    watched = seal(tmp_path / "folder/SOUL.md", tmp_path / "soul.file")
    assert watched.look().status is Health.PASS
    (tmp_path / "soul.file").unlink()
    assert watched.look().status is Health.FAIL


def test_a_file_that_was_replaced_behind_its_view_fails(tmp_path: Path) -> None:
    # What a bind mount of a single file shows afterwards: a file without a name.
    with (tmp_path / "soul").open("w+b") as held:
        held.write(TEXT)
        held.flush()
        watched = seal(Path(f"/proc/self/fd/{held.fileno()}"))
        assert watched.look().status is Health.PASS
        (tmp_path / "soul").unlink()
        status, reason, _ = watched.look()
    assert status is Health.FAIL
    assert "was replaced since this daemon started" in reason


SWAPPING = """
import os, sys
os.chdir(sys.argv[1])
os.mkfifo("pipe")
print("swapping", flush=True)
while True:
    with open("new", "wb") as made:
        made.write(b"Be kind.\\n")
    os.rename("new", "soul")
    os.link("pipe", "new")
    os.rename("new", "soul")
"""


def test_a_pipe_that_takes_the_souls_place_while_we_look_holds_nobody(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", SWAPPING, str(tmp_path)], stdout=subprocess.PIPE
    ) as swapping:
        assert swapping.stdout is not None
        assert swapping.stdout.readline()
        try:
            looked = [seal(tmp_path / "soul").look().status for _ in range(200_000)]
        finally:
            swapping.kill()
    assert set(looked) == {Health.PASS, Health.FAIL}
    assert len(os.listdir("/proc/self/fd")) < 200, "none is left open"
