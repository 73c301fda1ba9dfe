"""Bugs put into a release on purpose: what the proof must notice, or it proves nothing.

Each is a patched copy of the shipped code, deployed as any other release. The shipped code has no
switch for any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from .. import wheels
from ..fleet import Fleet

# File → what is replaced by what, each once at least.
Edits = Mapping[str, tuple[tuple[str, str], ...]]

BUGS: Mapping[str, Edits] = {
    # A 202 goes out though the disk has not been asked: only a power cut tells.
    "answer-before-fsync": {
        "fleet_agent/store/sqlite.py": (("PRAGMA synchronous=FULL", "PRAGMA synchronous=NORMAL"),),
    },
    # The outbox lives as long as the process, as one in memory does.
    "forget-on-restart": {
        "fleet_agent/bus/outbox.py": (
            (
                "        self._count()\n        turn.on_commit",
                '        turn.store.connection.execute("DELETE FROM delivery WHERE state = 0")\n'
                "        self._count()\n        turn.on_commit",
            ),
        ),
    },
    # A repeat is taken for a new message: the unique index is gone, and streams know nothing. The
    # last one: its boxes, without their index, are of no use to any other release.
    "no-dedupe": {
        "fleet_agent/bus/streams.py": (
            ("if place.number <= high:\n            return True", "if False:\n            pass"),
        ),
        "fleet_agent/bus/intake.py": (("ON CONFLICT (sender, id) DO NOTHING", ""),),
        "fleet_agent/bus/inbox.py": (
            (
                "return Turn(open_store(path, from_folder(SCHEMA)), failed=failed)",
                "store = open_store(path, from_folder(SCHEMA))\n"
                '    store.connection.execute("DROP INDEX IF EXISTS inbox_id")\n'
                "    return Turn(store, failed=failed)",
            ),
        ),
    },
}


def with_bug(name: str, path: str, text: str) -> str:
    """A file of the code with the bug in it. Raises ValueError where the code has moved on."""
    for old, new in BUGS[name].get(path, ()):
        if old not in text:
            raise ValueError(f"bug {name}: {path} has no {old!r} any more")
        text = text.replace(old, new)
    return text


def put_in(fleet: Fleet, name: str) -> None:
    """Deploy the shipped release with this bug in it."""
    files = wheels.patched_all(tuple(BUGS[name]), partial(with_bug, name))
    record = fleet.push(files)
    assert record.state == "verified", f"the release with {name} in it is not deployed: {record}"
