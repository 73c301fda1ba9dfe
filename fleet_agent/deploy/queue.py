"""The deploy queue: what is written into deploys.db, each change committed before it is told.

Only fleet-deploy opens it for writing. Not for lists and single deploys (``history``).
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from fleet_agent.deploy import history, states, twins, verdict
from fleet_agent.deploy.entry import Kind, QueueEntry, Receipt, Request, Seen, Submission
from fleet_agent.store.migrate import from_folder
from fleet_agent.store.sqlite import Store, open_store
from fleet_agent.wire import DeployState

SCHEMA: Final = os.path.join(os.path.dirname(__file__), "schema")

# Unsigned requests can come from anyone: of these only the newest are kept.
_UNSIGNED_KEPT: Final = 200
# Results of old deploys: what is no longer is left as it is, and how many are cut at a time.
_SHORT_CHARS: Final = 4096
_LET_GO_AT_ONCE: Final = 100
_IN_SHORT: Final = json.dumps({verdict.IN_SHORT: True})[1:-1]


def open_queue(path: str, keep_deliveries: int, now: Callable[[], float] = time.time) -> Queue:
    """The queue at ``path``, made where there is none. Raises the store's errors."""
    return Queue(open_store(path, from_folder(SCHEMA)), keep_deliveries, now)


class Queue:
    """The queue, for many threads. Raises the store's errors; IllegalMove is a bug."""

    def __init__(self, store: Store, keep_deliveries: int, now: Callable[[], float]) -> None:
        self._store = store
        self._keep_deliveries = keep_deliveries
        self._now = now
        self._lock = threading.RLock()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one reader at a time (``history``'s functions take it)."""
        with self._lock:
            yield self._store.connection

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._store.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._store.transaction() as connection:
            yield connection

    # What comes in.

    def submit(self, pushed: Submission) -> Receipt:
        """Take a pushed tag; when this returns, its row is on disk.

        A repeated delivery changes nothing. Push and ``create`` of one tag fold into one entry; a
        newer tag ends the waiting of older ones.
        """
        with self._writing() as db:
            known = history.delivery_deploy(db, pushed.forge, pushed.event, pushed.delivery)
            if known is not None:
                self._repeated(db, pushed)
                return Receipt(known, history.state_of(db, known), "repeated")
            receipt = self._fold(db, pushed) or self._enqueue(db, pushed)
            self._write_delivery(db, _row_of(pushed, receipt))
            return receipt

    def _fold(self, db: sqlite3.Connection, pushed: Submission) -> Receipt | None:
        waiting = history.queued_of(db, pushed.ref)
        if waiting is not None:
            if pushed.hint and not pushed.twin:
                db.execute("UPDATE deploy SET hint = ? WHERE id = ?", (pushed.hint, waiting))
            return Receipt(waiting, DeployState.QUEUED, "folded", "that tag is queued already")
        latest = history.latest_begun(db, pushed.ref)
        if latest is None or not twins.absorbs(latest, pushed.hint, twin=pushed.twin):
            return None
        reason = f"an event of the push that deploy {latest.deploy} answers already"
        return Receipt(latest.deploy, latest.state, "folded", reason)

    def _enqueue(self, db: sqlite3.Connection, pushed: Submission) -> Receipt:
        request = Request(Kind.HOOK, pushed.ref, pushed.pusher, pushed.forge)
        new = self._insert(db, request, pushed.hint, f"{pushed.event} {pushed.delivery}")
        older = db.execute(
            "SELECT id FROM deploy WHERE state = 'queued' AND kind = 'hook' AND id <> ?", (new,)
        ).fetchall()
        for (waiting,) in older:
            why = f"deploy {new} ({request.ref}) was pushed while this waited"
            self._move(db, waiting, DeployState.SUPERSEDED, why, {"ended_at": self._now()})
        return Receipt(new, DeployState.QUEUED, "queued")

    def ask(self, request: Request) -> QueueEntry:
        """Queue what somebody asked for by hand."""
        with self._writing() as db:
            new = self._insert(db, request, "", f"asked for by {request.requested_by}")
            return history.get(db, new)

    def record(self, seen: Seen) -> int:
        """Write down a delivery that deploys nothing; its number in the history."""
        with self._writing() as db:
            if seen.signed and self._repeated(db, seen):
                return history.last_delivery(db)
            return self._write_delivery(db, _row_of_seen(seen))

    # What the worker does.

    def start(self) -> QueueEntry | None:
        """Take the next queued entry and make it running; None when nothing waits."""
        with self._writing() as db:
            row = db.execute(
                "SELECT id FROM deploy WHERE state = 'queued' ORDER BY id LIMIT 1"
            ).fetchone()
            if row is None:
                return None
            changes = {"started_at": self._now(), "nonce": secrets.token_hex(8)}
            self._move(db, row[0], DeployState.RUNNING, "the worker took it", changes)
            return history.get(db, row[0])

    def peeled(self, deploy: int, commit: str, tag_object: str) -> QueueEntry:
        """Note what the ref of a running deploy named at its start."""
        with self._writing() as db:
            self._change(db, deploy, {"commit": commit, "tag_object": tag_object})
            return history.get(db, deploy)

    def executing(self, deploy: int) -> QueueEntry:
        """Note that the pipeline begins: from here on nodes may be touched."""
        with self._writing() as db:
            self._change(db, deploy, {"executed_at": self._now()})
            return history.get(db, deploy)

    def again(self, deploy: int, why: str) -> None:
        """Note that an interrupted deploy is begun anew, as no node can have been touched."""
        with self._writing() as db:
            now = history.state_of(db, deploy)
            self._note(db, deploy, (now.value, now.value), why)

    def number_above(self, seen: int) -> None:
        """Let the next deploy's number be above ``seen``, which a node has seen already."""
        with self._writing() as db:
            db.execute(
                "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'deploy'", (seen,)
            )

    def finish(
        self,
        deploy: int,
        state: DeployState,
        reason: str,
        *,
        result: Mapping[str, Any] | None = None,
        ran: bool = False,
        unsure: bool = False,
        twin_of: int | None = None,
    ) -> QueueEntry:
        """End a deploy. This commit is the fleet's: after it nothing rolls back by itself."""
        with self._writing() as db:
            changes: dict[str, Any] = {
                "ended_at": self._now(),
                "result": json.dumps(result or {}),
                "ran": int(ran),
                "unsure": int(unsure),
                "twin_of": twin_of,
            }
            self._move(db, deploy, state, reason, changes)
            return history.get(db, deploy)

    def let_go(self, before: int) -> None:
        """Leave of the results of deploys before number ``before`` what was decided, and why.

        The last verified one's stays: it says which keys were placed.
        """
        with self._writing() as db:
            now = history.fleet_now(db)
            rows = db.execute(
                "SELECT id, result FROM deploy WHERE id < ? AND id <> ? AND length(result) > ? "
                "AND instr(result, ?) = 0 LIMIT ?",
                (before, now.deploy if now else 0, _SHORT_CHARS, _IN_SHORT, _LET_GO_AT_ONCE),
            ).fetchall()
            for deploy, result in rows:
                short = verdict.in_short(json.loads(result))
                self._change(db, deploy, {"result": json.dumps(short)})

    # Rows.

    def _insert(self, db: sqlite3.Connection, request: Request, hint: str, why: str) -> int:
        row = {
            "state": DeployState.QUEUED.value,
            "kind": request.kind.value,
            "ref": request.ref,
            "hint": hint,
            "commit": request.commit,
            "requested_by": request.requested_by,
            "source": request.source,
            "fetch": int(request.fetch),
            "back_to": request.back_to,
            "queued_at": self._now(),
        }
        new = _insert(db, "deploy", row)
        self._note(db, new, ("", DeployState.QUEUED.value), why)
        return new

    def _move(
        self,
        db: sqlite3.Connection,
        deploy: int,
        wanted: DeployState,
        why: str,
        changes: Mapping[str, Any],
    ) -> None:
        # SQLite takes no halves of characters, which a file's name may have brought here.
        why = why.encode("utf-8", "replace").decode()
        now = history.state_of(db, deploy)
        states.check(deploy, now, wanted)
        reason = {"reason": why} if wanted in states.ENDED else {}
        self._change(db, deploy, {**changes, **reason, "state": wanted.value})
        self._note(db, deploy, (now.value, wanted.value), why)

    def _note(self, db: sqlite3.Connection, deploy: int, move: tuple[str, str], why: str) -> None:
        row = {"deploy": deploy, "at": self._now(), "from": move[0], "to": move[1], "why": why}
        _insert(db, "move", row)

    @staticmethod
    def _change(db: sqlite3.Connection, deploy: int, changes: Mapping[str, Any]) -> None:
        columns = ", ".join(f'"{name}" = ?' for name in changes)
        db.execute(f"UPDATE deploy SET {columns} WHERE id = ?", (*changes.values(), deploy))  # noqa: S608 (names are ours)

    @staticmethod
    def _repeated(db: sqlite3.Connection, one: Submission | Seen) -> bool:
        """Count a repeat of a delivery that led to a deploy; whether it is one."""
        cursor = db.execute(
            "UPDATE delivery SET repeats = repeats + 1 WHERE forge = ? AND event = ? "
            "AND delivery = ? AND signed = 1 AND deploy IS NOT NULL",
            (one.forge, one.event, one.delivery),
        )
        return cursor.rowcount > 0

    def _write_delivery(self, db: sqlite3.Connection, row: Mapping[str, Any]) -> int:
        if row["signed"]:
            # Skipped before, and judged anew: the rules may have changed.
            db.execute(
                "DELETE FROM delivery WHERE forge = ? AND event = ? AND delivery = ? "
                "AND signed = 1 AND deploy IS NULL",
                (row["forge"], row["event"], row["delivery"]),
            )
        new = _insert(db, "delivery", {**row, "received_at": self._now()})
        kept = self._keep_deliveries if row["signed"] else _UNSIGNED_KEPT
        db.execute(
            "DELETE FROM delivery WHERE signed = ? AND id <= (SELECT id FROM delivery "
            "WHERE signed = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (row["signed"], row["signed"], kept),
        )
        return new


def _row_of(pushed: Submission, receipt: Receipt) -> dict[str, Any]:
    return {
        "forge": pushed.forge,
        "event": pushed.event,
        "delivery": pushed.delivery,
        "signed": 1,
        "ref": pushed.ref,
        "hint": pushed.hint,
        "twin": int(pushed.twin),
        "repository": pushed.repository,
        "pusher": pushed.pusher,
        "outcome": receipt.status,
        "reason": receipt.reason,
        "deploy": receipt.deploy,
    }


def _row_of_seen(seen: Seen) -> dict[str, Any]:
    return {
        "forge": seen.forge,
        "event": seen.event,
        "delivery": seen.delivery,
        "signed": int(seen.signed),
        "ref": seen.ref,
        "repository": seen.repository,
        "pusher": seen.pusher,
        "outcome": seen.outcome,
        "reason": seen.reason,
        "deploy": None,
    }


def _insert(db: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> int:
    columns = ", ".join(f'"{name}"' for name in row)
    marks = ", ".join("?" * len(row))
    cursor = db.execute(
        f"INSERT INTO {table} ({columns}) VALUES ({marks})",  # noqa: S608 (names are ours)
        tuple(row.values()),
    )
    return int(cursor.lastrowid or 0)
