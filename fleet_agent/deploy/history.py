"""Questions to deploys.db: one deploy, lists, what a ref's deploys answered, what the fleet runs.

Reads only; each function takes the connection (``Queue.reading``).
"""

# ruff: noqa: S608 (the columns in these statements are constants of ours)
from __future__ import annotations

import sqlite3
from typing import Any, Final

from fleet_agent.deploy.entry import (
    COLUMNS,
    Attempt,
    Event,
    FleetNow,
    QueueEntry,
    from_row,
)
from fleet_agent.errors import RequestError
from fleet_agent.wire import DeployState

_DELIVERY: Final = (
    "id", "forge", "event", "delivery", "signed", "ref", "hint", "repository", "pusher",
    "received_at", "outcome", "reason", "deploy", "repeats",
)  # fmt: skip


def get(db: sqlite3.Connection, deploy: int) -> QueueEntry:
    """Deploy number ``deploy``. Raises RequestError (404)."""
    row = db.execute(f"SELECT {COLUMNS} FROM deploy WHERE id = ?", (deploy,)).fetchone()
    if row is None:
        raise RequestError(
            f"there is no deploy {deploy}", status=404, mend="fleet-agent deploys lists them"
        )
    return from_row(row)


def latest(db: sqlite3.Connection) -> QueueEntry | None:
    """The running deploy, else the newest one."""
    row = db.execute(
        f"SELECT {COLUMNS} FROM deploy ORDER BY state = 'running' DESC, id DESC LIMIT 1"
    ).fetchone()
    return None if row is None else from_row(row)


def listed(db: sqlite3.Connection, limit: int) -> list[QueueEntry]:
    """The newest ``limit`` deploys, newest first."""
    rows = db.execute(f"SELECT {COLUMNS} FROM deploy ORDER BY id DESC LIMIT ?", (limit,))
    return [from_row(row) for row in rows]


def running(db: sqlite3.Connection) -> QueueEntry | None:
    """The deploy that is running, or was when fleet-deploy ended."""
    row = db.execute(f"SELECT {COLUMNS} FROM deploy WHERE state = 'running'").fetchone()
    return None if row is None else from_row(row)


def moves(db: sqlite3.Connection, deploy: int) -> list[dict[str, Any]]:
    """The moves of a deploy in their order."""
    rows = db.execute(
        'SELECT at, "from", "to", why FROM move WHERE deploy = ? ORDER BY id', (deploy,)
    )
    return [dict(zip(("at", "from", "to", "why"), row, strict=True)) for row in rows]


def deliveries(
    db: sqlite3.Connection, *, after: int = 0, limit: int = 50, deploy: int | None = None
) -> list[dict[str, Any]]:
    """The newest deliveries, newest first: those after number ``after``, or those of a deploy."""
    columns = ", ".join(_DELIVERY)
    rows = db.execute(
        f"SELECT {columns} FROM delivery WHERE id > ? AND (? IS NULL OR deploy = ?) "
        "ORDER BY id DESC LIMIT ?",
        (after, deploy, deploy, limit),
    )
    found = [dict(zip(_DELIVERY, row, strict=True)) for row in rows]
    return [{**one, "signed": bool(one["signed"])} for one in found]


def last_delivery(db: sqlite3.Connection) -> int:
    """The number of the newest delivery, 0 where there is none."""
    row = db.execute("SELECT max(id) FROM delivery").fetchone()
    return int(row[0] or 0)


def state_of(db: sqlite3.Connection, deploy: int) -> DeployState:
    """The state of a deploy. Raises RequestError (404)."""
    row = db.execute("SELECT state FROM deploy WHERE id = ?", (deploy,)).fetchone()
    if row is None:
        raise RequestError(f"there is no deploy {deploy}", status=404)
    return DeployState(row[0])


def delivery_deploy(db: sqlite3.Connection, forge: str, event: str, delivery: str) -> int | None:
    """The deploy that a delivery led to, None where it is new or deployed nothing."""
    row = db.execute(
        "SELECT deploy FROM delivery WHERE forge = ? AND event = ? AND delivery = ? AND signed = 1",
        (forge, event, delivery),
    ).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def queued_of(db: sqlite3.Connection, ref: str) -> int | None:
    """The queued entry of the hook for ``ref``."""
    row = db.execute(
        "SELECT id FROM deploy WHERE state = 'queued' AND kind = 'hook' AND ref = ?", (ref,)
    ).fetchone()
    return None if row is None else int(row[0])


def events_of(db: sqlite3.Connection, deploy: int) -> tuple[Event, ...]:
    """The pushed tags that a deploy answers: its own, and those of entries that were its twins."""
    rows = db.execute(
        "SELECT deploy, hint, twin FROM delivery WHERE deploy = ? "
        "OR deploy IN (SELECT id FROM deploy WHERE twin_of = ?) ORDER BY id",
        (deploy, deploy),
    )
    return tuple(Event(row[0], row[1], bool(row[2])) for row in rows)


def latest_begun(db: sqlite3.Connection, ref: str) -> Attempt | None:
    """The last deploy of ``ref`` that was begun and came to know a commit, or was overtaken."""
    row = db.execute(
        'SELECT id, state, "commit", tag_object FROM deploy WHERE ref = ? '
        "AND kind IN ('hook', 'manual') AND twin_of IS NULL "
        "AND (state IN ('running', 'superseded') OR (state <> 'queued' AND \"commit\" <> '')) "
        "ORDER BY id DESC LIMIT 1",
        (ref,),
    ).fetchone()
    return None if row is None else _attempt(db, row)


def attempts(db: sqlite3.Connection, ref: str, before: int, limit: int = 100) -> list[Attempt]:
    """The deploys of ``ref`` before number ``before`` that came to know a commit, newest first."""
    rows = db.execute(
        'SELECT id, state, "commit", tag_object FROM deploy WHERE ref = ? AND id < ? '
        "AND kind IN ('hook', 'manual') AND twin_of IS NULL AND state <> 'queued' "
        "AND \"commit\" <> '' ORDER BY id DESC LIMIT ?",
        (ref, before, limit),
    ).fetchall()
    return [_attempt(db, row) for row in rows]


def _attempt(db: sqlite3.Connection, row: tuple[Any, ...]) -> Attempt:
    return Attempt(row[0], DeployState(row[1]), row[2], row[3], events_of(db, row[0]))


def failed_of_hook(db: sqlite3.Connection, commit: str, since: float, now: float) -> int:
    """How often pushes had ``commit`` run in vain between two times (Unix seconds)."""
    row = db.execute(
        "SELECT count(*) FROM deploy WHERE \"commit\" = ? AND kind = 'hook' "
        "AND state IN ('failed', 'rolled_back') AND executed_at BETWEEN ? AND ?",
        (commit, since, now),
    ).fetchone()
    return int(row[0])


def fleet_now(db: sqlite3.Connection) -> FleetNow | None:
    """What the fleet runs by this history, None before the first verified deploy."""
    row = db.execute(
        "SELECT id, \"commit\" FROM deploy WHERE state = 'verified' AND ran = 1 "
        "AND kind <> 'check' ORDER BY id DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    doubt = db.execute(
        "SELECT 1 FROM deploy WHERE id > ? AND unsure = 1 LIMIT 1", (row[0],)
    ).fetchone()
    return FleetNow(int(row[0]), str(row[1]), doubt is not None)


def way_back(db: sqlite3.Connection) -> tuple[int, str]:
    """Where a rollback by hand goes: number and commit of a verified deploy.

    The one before the one that runs; going back again goes further back. After a failed deploy
    that left doubt, the last verified one itself. Raises RequestError (409) when there is none.
    """
    now = fleet_now(db)
    if now is None:
        raise RequestError(
            "there is no verified deploy to go back to", status=409, mend="deploy a working commit"
        )
    current = get(db, now.deploy)
    if now.unsure:
        return current.back_to or current.id, current.commit
    row = db.execute(
        "SELECT id, \"commit\" FROM deploy WHERE state = 'verified' AND ran = 1 "
        "AND kind IN ('hook', 'manual') AND id < ? AND \"commit\" <> ? ORDER BY id DESC LIMIT 1",
        (current.back_to or current.id, current.commit),
    ).fetchone()
    if row is None:
        raise RequestError(
            f"deploy {now.deploy} is the first verified one, nothing lies before it", status=409
        )
    return int(row[0]), str(row[1])
