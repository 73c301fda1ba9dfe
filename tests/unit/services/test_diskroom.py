"""A daemon that starts on a full disk waits for room, where a manager waits for it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.services.diskroom import open_with_room
from fleet_agent.services.notify import Notifier
from fleet_agent.store.errors import StoreBroken, StoreFull


class Disk:
    """Opens after as many tries as it was full."""

    def __init__(self, full: int) -> None:
        self.full = full
        self.paused: list[float] = []

    def open(self) -> str:
        if len(self.paused) < self.full:
            raise StoreFull("no space left", where="bus.db")
        return "opened"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def notifier(manager: socket.socket) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": manager.getsockname()})


def test_it_opens_once_there_is_room_and_keeps_the_manager_patient(
    manager: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk(full=3)
    assert open_with_room("ezra", notifier(manager), disk.open, sleep=disk.paused.append) == (
        "opened"
    )
    assert len(disk.paused) == 3
    for _ in range(3):
        assert manager.recv(4096).startswith(b"EXTEND_TIMEOUT_USEC=30000000\nSTATUS=waiting")
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(said) == 1, "once, not at every try"
    assert "ezra: not started yet, waiting for room: " in said[0]


def test_a_disk_with_room_is_opened_without_a_word(manager: socket.socket) -> None:
    disk = Disk(full=0)
    assert open_with_room("ezra", notifier(manager), disk.open, sleep=disk.paused.append) == (
        "opened"
    )
    with pytest.raises(BlockingIOError):
        manager.recv(1)


def test_who_started_it_by_hand_hears_at_once() -> None:
    disk = Disk(full=1)
    with pytest.raises(StoreFull):
        open_with_room("ezra", Notifier({}), disk.open, sleep=disk.paused.append)
    assert disk.paused == []


def test_a_broken_disk_is_not_waited_for(manager: socket.socket) -> None:
    def broken() -> str:
        raise StoreBroken("disk I/O error", where="bus.db")

    with pytest.raises(StoreBroken):
        open_with_room("ezra", notifier(manager), broken)
