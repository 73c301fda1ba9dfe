"""Placing files where a hostile user has set traps: nothing outside is read, written or given."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fleet_agent.node.place import (
    ABSENT,
    DIRECTORY,
    FILE,
    LINK,
    NOTHING,
    OTHER,
    Owner,
    PlaceError,
    Places,
)

STRANGER = 54321
AS_ROOT = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can make another user's directory"
)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    (tmp_path / "root").mkdir()
    return Places(str(tmp_path / "root"), unprivileged=os.geteuid() != 0)


@pytest.fixture
def root(tmp_path: Path, places: Places) -> Path:
    return tmp_path / "root"


def theirs(path: Path) -> Path:
    """A directory that belongs to a wizard's user, who may put there what it likes."""
    path.mkdir(parents=True)
    if os.geteuid() == 0:
        os.chown(path, STRANGER, STRANGER)
    else:
        path.chmod(0o777)
    return path


def test_a_file_is_written_with_its_mode_and_nothing_is_left_beside(
    places: Places, root: Path
) -> None:
    places.write("/srv/a/config.yaml", b"x: 1\n", 0o640, None)
    assert (root / "srv/a/config.yaml").read_bytes() == b"x: 1\n"
    assert stat.S_IMODE((root / "srv/a/config.yaml").stat().st_mode) == 0o640
    assert os.listdir(root / "srv/a") == ["config.yaml"]


def test_a_look_tells_kind_mode_and_digest(places: Places, root: Path) -> None:
    places.write("/a", b"x", 0o600, None)
    (root / "l").symlink_to("a")
    (root / "d").mkdir()
    os.mkfifo(root / "f")
    assert places.look("/a").kind == FILE
    assert places.look("/a").mode == 0o600
    assert len(places.look("/a").sha256) == 64
    assert (places.look("/l").kind, places.look("/l").target) == (LINK, "a")
    assert places.look("/d").kind == DIRECTORY
    assert places.look("/f").kind == OTHER
    assert places.look("/nothing/at/all") == NOTHING


def test_a_link_at_the_place_is_replaced_and_not_followed(places: Places, root: Path) -> None:
    home = theirs(root / "home/ezra")
    (root / "shadow").write_text("secret")
    (home / "SOUL.md").symlink_to("/shadow")
    places.write("/home/ezra/SOUL.md", b"soul", 0o444, None)
    assert (root / "shadow").read_text() == "secret"
    assert not (home / "SOUL.md").is_symlink()


def test_a_link_on_the_way_in_a_users_directory_is_refused(places: Places, root: Path) -> None:
    home = theirs(root / "home/ezra")
    (root / "etc").mkdir()
    (home / ".hermes").symlink_to("/etc")
    for act in (
        lambda: places.write("/home/ezra/.hermes/config.yaml", b"x", 0o644, None),
        lambda: places.remove("/home/ezra/.hermes/passwd"),
        lambda: places.look("/home/ezra/.hermes/shadow"),
        lambda: places.read("/home/ezra/.hermes/shadow", 100),
        lambda: places.link("/home/ezra/.hermes/x", "y"),
        lambda: places.remove_directory("/home/ezra/.hermes/x"),
    ):
        with pytest.raises(PlaceError, match="link"):
            act()
    assert os.listdir(root / "etc") == []


def test_a_link_that_only_root_can_have_made_is_followed_below_the_root(
    places: Places, root: Path
) -> None:
    (root / "mnt/home/ezra").mkdir(parents=True)
    (root / "home").symlink_to("/mnt/home")
    places.write("/home/ezra/x", b"x", 0o644, None)
    assert (root / "mnt/home/ezra/x").read_bytes() == b"x"


def test_a_link_with_dots_or_in_a_circle_is_refused(places: Places, root: Path) -> None:
    (root / "up").symlink_to("../..")
    (root / "round").symlink_to("round")
    for path in ("/up/etc/x", "/round/x"):
        with pytest.raises(PlaceError):
            places.write(path, b"x", 0o644, None)


def test_a_directory_or_a_pipe_at_the_place_is_refused(places: Places, root: Path) -> None:
    (root / "d").mkdir()
    os.mkfifo(root / "f")
    for path in ("/d", "/f"):
        with pytest.raises(PlaceError, match="no file"):
            places.write(path, b"x", 0o644, None)
        with pytest.raises(PlaceError):
            places.read(path, 10)
    assert stat.S_ISFIFO((root / "f").stat().st_mode)


@pytest.mark.parametrize("path", ["relative", "/", "/a/../b", "/./a", ""])
def test_what_is_no_plain_absolute_path_is_refused(places: Places, path: str) -> None:
    with pytest.raises(PlaceError):
        places.look(path)


def test_a_file_on_the_way_is_refused(places: Places, root: Path) -> None:
    (root / "a").write_text("x")
    with pytest.raises(PlaceError, match="no directory"):
        places.write("/a/b", b"x", 0o644, None)


def test_reading_stops_at_the_limit(places: Places) -> None:
    places.write("/a", b"x" * 11, 0o644, None)
    assert places.read("/a", 11) == b"x" * 11
    with pytest.raises(PlaceError, match="larger"):
        places.read("/a", 10)


def test_missing_directories_are_named_from_the_deepest(places: Places, root: Path) -> None:
    (root / "home").mkdir()
    found = places.missing_directories("/home/ezra/.hermes/config.yaml")
    assert found == ("/home/ezra/.hermes", "/home/ezra")
    places.write("/home/ezra/.hermes/config.yaml", b"x", 0o644, None)
    assert places.missing_directories("/home/ezra/.hermes/config.yaml") == ()


def test_only_an_empty_directory_is_removed(places: Places, root: Path) -> None:
    places.write("/a/b/c", b"x", 0o644, None)
    assert not places.remove_directory("/a/b")
    assert places.remove("/a/b/c")
    assert not places.remove("/a/b/c")
    assert places.remove_directory("/a/b")
    assert places.look("/a/b").kind == ABSENT


def test_a_file_without_end_is_not_read_to_its_end(places: Places, root: Path) -> None:
    with open(root / "sparse", "wb") as made:
        made.truncate(1 << 40)
    found = places.look("/sparse")
    assert (found.kind, found.size, found.sha256) == (FILE, 1 << 40, "")


def test_the_way_back_moves_aside_what_lies_where_a_file_was(places: Places, root: Path) -> None:
    clearing = Places(str(root), unprivileged=os.geteuid() != 0, clearing=True)
    home = theirs(root / "home/ezra")
    (home / "a").mkdir()
    (home / "a/kept").write_text("theirs")
    os.mkfifo(home / "b")
    (home / "c").mkdir()
    clearing.write("/home/ezra/a", b"x", 0o644, None)
    clearing.link("/home/ezra/b", "a")
    clearing.remove("/home/ezra/c")
    assert (home / "a").read_bytes() == b"x"
    assert os.readlink(home / "b") == "a"
    assert not (home / "c").exists()
    aside = [name for name in os.listdir(home) if name.startswith(".fleet-agent.aside.")]
    assert len(aside) == 3
    assert any((home / name / "kept").exists() for name in aside)


def test_the_way_back_makes_its_way_anew_where_a_link_leads_elsewhere(
    places: Places, root: Path
) -> None:
    clearing = Places(str(root), unprivileged=os.geteuid() != 0, clearing=True)
    home = theirs(root / "home/ezra")
    (root / "etc").mkdir()
    (home / ".hermes").symlink_to("/etc")
    (home / "deep").write_text("a file")
    clearing.write("/home/ezra/.hermes/config.yaml", b"x", 0o644, None)
    clearing.write("/home/ezra/deep/er/config.yaml", b"y", 0o644, None)
    assert (home / ".hermes/config.yaml").read_bytes() == b"x"
    assert (home / "deep/er/config.yaml").read_bytes() == b"y"
    assert os.listdir(root / "etc") == []


@AS_ROOT
def test_a_file_belongs_to_root_and_its_group_from_its_first_visible_moment(
    places: Places, root: Path
) -> None:
    home = theirs(root / "home/ezra")
    places.write("/home/ezra/config.yaml", b"x", 0o640, Owner(0, STRANGER))
    seen = (home / "config.yaml").stat()
    assert (seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode)) == (0, STRANGER, 0o640)


@AS_ROOT
def test_a_new_directory_belongs_to_whom_the_one_above_belongs(places: Places, root: Path) -> None:
    theirs(root / "home/ezra")
    places.write("/home/ezra/.hermes/deep/config.yaml", b"x", 0o640, Owner(0, STRANGER))
    places.write("/srv/x/config.yaml", b"x", 0o640, Owner(0, STRANGER))
    assert (root / "home/ezra/.hermes").stat().st_uid == STRANGER
    assert (root / "home/ezra/.hermes/deep").stat().st_uid == STRANGER
    assert (root / "srv/x").stat().st_uid == 0


SWAPPING = """
import os, shutil, sys
home = sys.argv[1]
real, link, name = (os.path.join(home, part) for part in ("real", "link", ".hermes"))
os.mkdir(real)
os.symlink("/etc", link)
print("swapping", flush=True)
while True:
    for what in (real, link):
        try:
            os.rename(what, name)
            os.rename(name, what)
        except OSError:
            # A directory made by the placing is in the way: out with it.
            shutil.rmtree(name, ignore_errors=True)
"""


def test_a_user_who_swaps_directory_and_link_all_the_time_never_gets_a_write_outside(
    places: Places, root: Path
) -> None:
    home = theirs(root / "home/ezra")
    outside = root / "etc"
    outside.mkdir()
    attacker = subprocess.Popen(
        [sys.executable, "-c", SWAPPING, str(home)], stdout=subprocess.PIPE, text=True
    )
    refused = 0
    try:
        assert attacker.stdout is not None
        assert attacker.stdout.readline() == "swapping\n"
        for _ in range(1000):
            try:
                places.write("/home/ezra/.hermes/config.yaml", b"x", 0o644, None)
            except (PlaceError, OSError):
                refused += 1
    finally:
        attacker.kill()
        attacker.communicate()
    assert refused
    assert os.listdir(outside) == []
