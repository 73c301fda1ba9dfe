"""Copies of state directories whose owner does all it can to spoil, prolong or misuse them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.limits import Limits
from fleet_agent.node import snapshot
from fleet_agent.node.layout import Layout
from fleet_agent.node.place import PlaceError

NONCE = "0" * 16
STATE = "/home/ezra/memories"


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    (tmp_path / "home/ezra/memories").mkdir(parents=True)
    yield Layout(root=str(tmp_path), unprivileged=os.geteuid() != 0)
    for folder in tmp_path.iterdir():  # too deep for who removes it later
        snapshot.remove(str(folder))


@pytest.fixture
def state(layout: Layout) -> Path:
    return Path(layout.at(STATE))


def take(layout: Layout, nonce: str = NONCE, most_mib: int = 1) -> snapshot.Taken:
    limits = Limits({"deploy_state_snapshot_mib": most_mib})
    return snapshot.take(layout, nonce, {"ezra": (STATE,)}, limits)


def nested(folder: Path, levels: int) -> None:
    """Folders in folders, deeper than a path can say."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def test_links_are_copied_as_links_and_pipes_as_pipes(layout: Layout, state: Path) -> None:
    (state / "learnt").write_text("much")
    (state / "link").symlink_to("/etc/passwd")
    os.mkfifo(state / "pipe")
    (made,) = take(layout).made
    copy = Path(made)
    assert (copy / "learnt").read_text() == "much"
    assert os.readlink(copy / "link") == "/etc/passwd"
    assert (copy / "pipe").is_fifo()
    assert Path(layout.snapshots).stat().st_mode & 0o077 == 0


def test_a_directory_that_became_a_link_is_not_copied(layout: Layout, state: Path) -> None:
    (state / "learnt").write_text("much")
    state.rename(state.with_name("moved"))
    state.symlink_to(state.with_name("moved"))
    assert take(layout).made == ()


def test_a_link_on_the_way_is_refused(layout: Layout, tmp_path: Path) -> None:
    home = tmp_path / "home/ezra"
    home.rename(tmp_path / "home/other")
    (tmp_path / "home").chmod(0o777)
    home.symlink_to("/home/other")
    with pytest.raises(PlaceError, match="link"):
        take(layout)


@pytest.mark.parametrize("levels", [65, 1500, 5000])
def test_folders_without_end_are_told_and_not_copied(
    layout: Layout, state: Path, levels: int
) -> None:
    nested(state, levels)
    taken = take(layout, most_mib=512)
    assert taken.made == ()
    assert taken.notes == (f"ezra: {STATE} is nested deeper than 64 levels and was not copied",)


def test_large_and_many_files_are_told_and_not_copied(layout: Layout, state: Path) -> None:
    with open(state / "sparse", "wb") as made:
        made.truncate(1 << 40)
    assert "is larger than 1 MiB" in take(layout).notes[0]
    (state / "sparse").unlink()
    for number in range(300):  # nothing in them, but each takes a name and an inode
        (state / str(number)).touch()
    assert "is larger than 1 MiB" in take(layout).notes[0]


def test_copies_of_folders_that_grew_meanwhile_are_removed_in_their_turn(
    layout: Layout, state: Path
) -> None:
    (state / "learnt").write_text("much")
    for number in range(5):
        (made,) = take(layout, f"{number:016x}").made
        nested(Path(made), 1500)
        os.utime(Path(made).parents[1], (number, number))
    assert len(os.listdir(layout.snapshots)) == 3


@pytest.fixture
def restless(state: Path) -> Iterator[None]:
    """Files that come and go all the time, as a database's journal does."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            for number in range(50):
                (state / f"journal-{number}").touch()
            for number in range(50):
                (state / f"journal-{number}").unlink()

    worker = threading.Thread(target=work)
    worker.start()
    yield
    over.set()
    worker.join()
    assert not (state / "journal-0").exists(), "it worked to its end"


@pytest.mark.usefixtures("restless")
def test_files_that_go_while_they_are_copied_hinder_no_deploy(layout: Layout, state: Path) -> None:
    (state / "learnt").write_text("much")
    for number in range(10):
        (made,) = take(layout, f"{number:016x}").made
        assert (Path(made) / "learnt").read_text() == "much"
