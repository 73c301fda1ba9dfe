"""The schema of the boxes: what the release before can still do with it."""

from __future__ import annotations

from pathlib import Path

from fleet_agent.bus.inbox import SCHEMA
from fleet_agent.limits import Limits
from fleet_agent.store.migrate import migrate, read
from fleet_agent.store.sqlite import open_store
from tests.unit.bus.busparts import Boxes, message

# As the release that knew only schema 1 writes.
OLD_INSERT = (
    "INSERT INTO inbox (sender, id, lane, received_at, body) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (sender, id) DO NOTHING"
)


def test_after_a_rollback_the_release_before_goes_on_and_the_outbox_waits(tmp_path: Path) -> None:
    boxes = Boxes(tmp_path, Limits())
    boxes.send(id="waits")
    boxes.close()

    first_only = read(SCHEMA)[:1]
    old = open_store(str(tmp_path / "bus.db"), lambda conn, path: migrate(conn, path, first_only))
    with old.transaction() as connection:
        for _ in range(2):
            connection.execute(OLD_INSERT, ("bezalel", "meanwhile", 0, 1.0, b"{}"))
    assert old.number("SELECT count(*) FROM inbox") == 1
    old.close()

    boxes = Boxes(tmp_path, Limits())
    assert (boxes.inbox.depth, boxes.outbox.depth) == (1, 1)
    # Its body says no type: it must not stand in the way of others for that.
    assert [(one.id, one.type) for one in boxes.leases.lease(limit=9)] == [("meanwhile", "request")]
    assert [row.id for row in boxes.outbox.rows("bezalel", 0, 0, 1000)] == ["waits"]
    boxes.close()


def test_what_the_release_before_took_is_there_after_the_upgrade(tmp_path: Path) -> None:
    first_only = read(SCHEMA)[:1]
    old = open_store(str(tmp_path / "bus.db"), lambda conn, path: migrate(conn, path, first_only))
    raw = message(**{"from": "bezalel", "to": "ezra", "id": "old"}).raw
    with old.transaction() as connection:
        connection.execute(OLD_INSERT, ("bezalel", "old", 0, 1.0, raw))
    old.close()

    boxes = Boxes(tmp_path, Limits())
    assert boxes.inbox.depth == 1
    assert boxes.leases.oldest() == 1.0
    boxes.inbox.put(message(**{"from": "bezalel", "to": "ezra", "id": "old"}), boxes.done)
    boxes.turn.commit()
    assert boxes.told[0][1].name == "DUPLICATE"
    assert [(one.id, one.type, one.attempt) for one in boxes.leases.lease(limit=9)] == [
        ("old", "request", 1)
    ]
    boxes.close()


def test_the_questions_that_are_asked_all_the_time_use_their_indexes(tmp_path: Path) -> None:
    boxes = Boxes(tmp_path, Limits())
    for sql, index in (
        ("SELECT 1 FROM inbox WHERE state < 2 AND type IS NULL LIMIT 1", "inbox_untyped"),
        ("SELECT body FROM inbox WHERE in_reply_to = 'x' ORDER BY seq LIMIT 1", "inbox_reply"),
        ("SELECT seq FROM inbox WHERE state < 2 AND lane = 0 AND sender = 'x' AND type = 'request' "
         "ORDER BY seq LIMIT 1", "inbox_pairs"),
        ("SELECT seq FROM inbox WHERE state = 3 AND seq > 5 ORDER BY seq LIMIT 9", "inbox_dead"),
        ("SELECT number FROM delivery d WHERE d.state = 0 AND d.receiver = 'x' AND d.lane = 0 "
         "AND d.number > 5 ORDER BY d.number LIMIT 9", "delivery_waiting"),
        ("SELECT number FROM delivery d WHERE d.state = 0 AND d.expires_at <= 5 "
         "ORDER BY d.expires_at LIMIT 9", "delivery_expiry"),
        ("SELECT number, letter FROM delivery WHERE state IN (1, 3) AND settled_at < 5 "
         "ORDER BY settled_at LIMIT 9", "delivery_settled"),
        ("SELECT number FROM delivery WHERE state = 2 AND number > 5 ORDER BY number LIMIT 9",
         "delivery_dead"),
        ("SELECT settled_at, seq FROM inbox WHERE state >= 2 AND (settled_at, seq) > (5, 6) "
         "AND settled_at < 9 ORDER BY settled_at, seq LIMIT 9", "inbox_settled"),
        ("SELECT receiver, count(*) FROM delivery WHERE state = 0 GROUP BY receiver",
         "delivery_waiting"),
    ):  # fmt: skip
        plan = " ".join(row[3] for row in boxes.turn.read("EXPLAIN QUERY PLAN " + sql))
        assert index in plan, (sql, plan)
        assert "TEMP B-TREE" not in plan, (sql, plan)
    boxes.close()
