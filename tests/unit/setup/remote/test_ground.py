"""Files and directories on a machine: changed only when they differ, and in one step."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest

from fleet_agent.errors import NodeError
from fleet_agent.setup.remote import ground

USER = pwd.getpwuid(os.geteuid()).pw_name
GROUP = grp.getgrgid(os.getegid()).gr_name


def test_a_file_is_made_once_and_then_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "f")
    assert ground.file(path, b"one", 0o640, USER, GROUP)
    inode = os.stat(path).st_ino
    assert not ground.file(path, b"one", 0o640, USER, GROUP)
    assert os.stat(path).st_ino == inode
    assert os.stat(path).st_mode & 0o7777 == 0o640
    assert os.listdir(tmp_path) == ["f"]


def test_another_content_or_mode_is_a_change(tmp_path: Path) -> None:
    path = str(tmp_path / "f")
    ground.file(path, b"one", 0o640, USER, GROUP)
    assert ground.file(path, b"one", 0o600, USER, GROUP)
    assert ground.file(path, b"two", 0o600, USER, GROUP)
    assert ground.read(path) == b"two"


def test_a_link_is_neither_followed_nor_replaced(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("theirs")
    link = tmp_path / "f"
    link.symlink_to(target)
    with pytest.raises(NodeError, match="no plain file"):
        ground.file(str(link), b"ours", 0o644, USER, GROUP)
    with pytest.raises(NodeError, match="no directory"):
        ground.directory(str(link), 0o755, USER, GROUP)
    assert target.read_text() == "theirs"


def test_a_directory_gets_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    path = str(tmp_path / "d")
    before = os.umask(0o077)
    try:
        assert ground.directory(path, 0o755, USER, GROUP)
    finally:
        os.umask(before)
    assert os.stat(path).st_mode & 0o7777 == 0o755
    assert not ground.directory(path, 0o755, USER, GROUP)


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        ground.file(str(tmp_path / "f"), b"x", 0o600, "no-such-user-here", GROUP)
    assert os.listdir(tmp_path) == []
