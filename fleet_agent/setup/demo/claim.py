"""Whose place it is: a lock that ends with the demo that holds it, and what dead ones left."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fleet_agent.errors import ConfigError, TryAgain
from fleet_agent.setup.demo import leftovers

_LOCK: Final = "lock"


@contextmanager
def held(place: Path) -> Iterator[None]:
    """Hold the lock of ``place``. TryAgain when another demo holds it."""
    fd = os.open(place / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise TryAgain(
            "a demo runs there already", where=str(place), mend="end it with Ctrl-C first"
        ) from None
    else:
        yield
    finally:
        os.close(fd)


def clear(wanted: Path) -> None:
    """Remove what an earlier demo left at ``wanted``. TryAgain while one still runs there.

    ConfigError for a folder that no demo made: nothing of anybody else's is removed.
    """
    if not os.path.lexists(wanted):
        return
    place = wanted.resolve()
    if place.exists():
        if not (place / _LOCK).is_file():
            raise ConfigError(
                "is there already, and no demo made it",
                where=str(wanted),
                mend="name another --dir",
            )
        with held(place):
            leftovers.end(place)
    remove(wanted)


def remove(wanted: Path) -> None:
    """Remove the demo's place, and the link to it where it lies elsewhere."""
    place = wanted.resolve()
    for folder, _, _ in os.walk(place):
        os.chmod(folder, 0o700)  # a release's folders are read-only, also for who made them
    shutil.rmtree(place)
    if wanted.is_symlink():
        wanted.unlink()
