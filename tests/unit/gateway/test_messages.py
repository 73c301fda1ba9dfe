"""POST /message without sockets: every answer, and that none comes before the commit."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.bus.ids import Ids
from fleet_agent.bus.inbox import Inbox, open_inbox
from fleet_agent.errors import RequestError
from fleet_agent.gateway.messages import Messages
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.types import Response
from fleet_agent.limits import Limits
from tests.unit.gateway.gatewayparts import ELSEWHERE, request, serving

LIMITS = Limits({"inbox_messages": 100, "batch_lines": 5})
GOOD: dict[str, Any] = {
    "from": "bezalel",
    "to": "ezra",
    "type": "request",
    "payload": {"a": 1},
    "timestamp": 1,
}
NDJSON = (("Content-Type", "application/x-ndjson"),)


class Gate:
    """Messages in front of a real box."""

    def __init__(self, folder: Path, *, unsigned: bool = False) -> None:
        self.folder = folder
        self.inbox: Inbox = open_inbox(
            str(folder / "bus.db"), LIMITS, ids=Ids(), failed=lambda error: pytest.fail(str(error))
        )
        self.messages = Messages(serving(unsigned=unsigned), self.inbox, LIMITS, now=lambda: 2.0)

    def post(self, body: object, **more: Any) -> Response:
        """Post, let the turn end, and return the answer."""
        answer = self.messages.post(request("/message", body, **more))
        if isinstance(answer, Response):
            return answer
        self.inbox.commit()
        assert answer.response is not None
        return answer.response

    def bodies(self) -> list[bytes]:
        """What is stored."""
        connection = sqlite3.connect(self.folder / "bus.db")
        try:
            return [row[0] for row in connection.execute("SELECT body FROM inbox ORDER BY seq")]
        finally:
            connection.close()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path)
    yield made
    made.inbox.close()


def test_the_answer_waits_for_the_commit(gate: Gate) -> None:
    answer = gate.messages.post(request("/message", GOOD | {"id": "a"}))
    assert isinstance(answer, Deferred)
    assert answer.response is None
    assert gate.bodies() == []
    gate.inbox.commit()
    assert answer.response == Response(202, b'{"id":"a","status":"accepted"}')
    assert gate.bodies() == [json.dumps(GOOD | {"id": "a"}).encode()]


def test_an_id_is_assigned_and_told(gate: Gate) -> None:
    answer = gate.post(GOOD)
    assert answer.status == 202
    assert len(json.loads(answer.body)["id"]) == 36


def test_a_repeat_is_200_and_another_body_409(gate: Gate) -> None:
    assert gate.post(GOOD | {"id": "a"}).status == 202
    again = gate.post(GOOD | {"id": "a"})
    assert (again.status, json.loads(again.body)) == (200, {"id": "a", "status": "duplicate"})
    other = gate.post(GOOD | {"id": "a", "payload": 2})
    assert (other.status, json.loads(other.body)["where"]) == (409, "id")
    assert len(gate.bodies()) == 1


def test_a_refusal_is_a_problem_that_names_the_field(gate: Gate) -> None:
    answer = gate.post(GOOD | {"type": "shout"})
    said = json.loads(answer.body)
    assert answer.content_type == "application/problem+json"
    assert (answer.status, said["status"], said["where"]) == (400, 400, "type")
    assert set(said["table"]) == {"request", "response", "broadcast", "alert"}


def test_a_clock_ahead_is_told_our_time(gate: Gate) -> None:
    said = json.loads(gate.post(GOOD | {"timestamp": 99999}).body)
    assert said["time"] == "1970-01-01T00:00:02Z"


def test_a_full_box_says_when_to_come_back(gate: Gate) -> None:
    for _ in range(100):
        gate.post(GOOD)
    answer = gate.post(GOOD)
    assert answer.status == 429
    assert "Retry-After" in dict(answer.headers)
    assert gate.post(GOOD | {"id": "b"}).status == 429


def test_a_full_disk_is_507(gate: Gate) -> None:
    connection = gate.inbox._store.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    answer = gate.post(GOOD | {"payload": "x" * 50_000})
    assert answer.status == 507
    assert json.loads(answer.body)["title"] == "the disk is full"


def test_a_stranger_is_refused_before_the_body_is_read(gate: Gate) -> None:
    assert gate.post(b"\xff not even JSON", peer=ELSEWHERE).status == 401


def test_with_unsigned_allow_a_stranger_comes_in(tmp_path: Path) -> None:
    gate = Gate(tmp_path, unsigned=True)
    assert gate.post(GOOD, peer=ELSEWHERE).status == 202
    assert gate.post(GOOD | {"to": "allegro"}, peer=ELSEWHERE).status == 421
    gate.inbox.close()


@pytest.mark.parametrize(
    "media",
    [None, "application/json", "application/json; charset=utf-8", "application/cloudevents+json",
     "application/x-www-form-urlencoded", "APPLICATION/JSON"],
)  # fmt: skip
def test_json_by_any_of_its_names_is_read(gate: Gate, media: str | None) -> None:
    headers = () if media is None else (("Content-Type", media),)
    assert gate.post(GOOD, headers=headers).status == 202


@pytest.mark.parametrize(
    "headers",
    [(("Content-Type", "multipart/form-data"),), (("Content-Type", "application/xml"),),
     (("Content-Encoding", "gzip"),)],
)  # fmt: skip
def test_other_bodies_are_415_and_told_what_is_read(
    gate: Gate, headers: tuple[tuple[str, str], ...]
) -> None:
    answer = gate.post(GOOD, headers=headers)
    assert answer.status == 415
    assert dict(answer.headers)["Accept-Post"] == "application/json, application/x-ndjson"


def lines(answer: Response) -> list[Any]:
    return [json.loads(line) for line in answer.body.splitlines()]


def batch(*values: object) -> bytes:
    return b"".join(
        (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n"
        for value in values
    )


def test_a_batch_is_one_status_a_line(gate: Gate) -> None:
    body = batch(GOOD | {"id": "a"}, GOOD | {"id": "a"}, GOOD | {"id": "b"})
    answer = gate.post(body, headers=NDJSON)
    assert (answer.status, answer.content_type) == (202, "application/x-ndjson")
    assert lines(answer) == [
        {"id": "a", "status": "accepted"},
        {"id": "a", "status": "duplicate"},
        {"id": "b", "status": "accepted"},
    ]


def test_valid_lines_are_stored_though_others_fail(gate: Gate) -> None:
    body = batch(GOOD | {"id": "a"}, b"{", GOOD | {"to": "allegro"}, GOOD | {"id": "d"}, b"")
    answer = gate.post(body, headers=NDJSON)
    assert answer.status == 207
    said = lines(answer)
    assert [line["status"] for line in said] == [
        "accepted", "refused", "refused", "accepted", "refused",
    ]  # fmt: skip
    assert [line["problem"]["status"] for line in said if "problem" in line] == [400, 403, 400]
    assert len(gate.bodies()) == 2


def test_a_batch_of_nothing_but_refusals_is_answered_at_once(gate: Gate) -> None:
    answer = gate.messages.post(request("/message", batch(b"{", b"[]"), headers=NDJSON))
    assert isinstance(answer, Deferred)
    assert answer.response is not None
    assert answer.response.status == 207


def test_a_batch_has_one_sender(gate: Gate) -> None:
    body = batch(GOOD, {**GOOD, "from": "allegro"}, GOOD)
    said = lines(gate.post(body, headers=NDJSON))
    assert [line["status"] for line in said] == ["accepted", "refused", "accepted"]
    assert "this batch is 'bezalel'" in said[1]["problem"]["detail"]


def test_a_line_is_stored_without_its_line_break(gate: Gate) -> None:
    raw = json.dumps(GOOD | {"id": "a"}).encode()
    gate.post(raw + b"\r\n" + raw.replace(b'"a"', b'"b"'), headers=NDJSON)
    assert gate.bodies() == [raw, raw.replace(b'"a"', b'"b"')]


def test_a_batch_at_its_limit_is_taken_and_one_over_it_is_not(gate: Gate) -> None:
    assert gate.post(batch(*[GOOD] * 5), headers=NDJSON).status == 202
    with pytest.raises(RequestError) as caught:
        gate.post(batch(*[GOOD] * 6), headers=NDJSON)
    assert caught.value.http_status == 413


def test_an_empty_batch_is_refused(gate: Gate) -> None:
    with pytest.raises(RequestError) as caught:
        gate.post(b"", headers=NDJSON)
    assert caught.value.http_status == 400


def test_more_room_after_a_reload(gate: Gate) -> None:
    gate.messages.limits = Limits({"message_payload_bytes": 1024})
    assert gate.post(GOOD | {"payload": "x" * 2000}).status == 413
