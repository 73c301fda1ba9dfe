"""POST /message without sockets: every answer, and that none comes before the commit."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.bus.keyring import NO_KEYS, Keyring
from fleet_agent.bus.sending import Sending
from fleet_agent.errors import RequestError
from fleet_agent.gateway.messages import Messages
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.types import Response
from fleet_agent.limits import Limits
from tests.unit.bus.busparts import Boxes
from tests.unit.gateway.gatewayparts import ELSEWHERE, KEYS, request, serving, signed

LIMITS = Limits({"inbox_messages": 100, "batch_lines": 5})
GOOD: dict[str, Any] = {
    "from": "ezra",
    "to": "ezra",
    "type": "request",
    "payload": {"a": 1},
    "timestamp": 1,
}
NDJSON = (("Content-Type", "application/x-ndjson"),)


class Gate:
    """Messages in front of a real box."""

    def __init__(self, folder: Path, *, unsigned: bool = False, keyring: Keyring = NO_KEYS) -> None:
        self.folder = folder
        self.boxes = Boxes(folder, LIMITS, lambda error: pytest.fail(str(error)))
        mine = serving(unsigned=unsigned, keyring=keyring)
        sending = Sending(
            "ezra",
            lambda: mine.registry,
            self.boxes.inbox,
            self.boxes.outbox,
            lambda _: 0.0,
            LIMITS,
        )
        self.messages = Messages(mine, self.boxes.inbox, sending, LIMITS, now=lambda: 2.0)

    def post(self, body: object, **more: Any) -> Response:
        """Post, let the turn end, and return the answer."""
        answer = self.messages.post(request("/message", body, **more))
        if isinstance(answer, Response):
            return answer
        self.boxes.turn.commit()
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
    made.boxes.close()


def test_the_answer_waits_for_the_commit(gate: Gate) -> None:
    answer = gate.messages.post(request("/message", GOOD | {"id": "a"}))
    assert isinstance(answer, Deferred)
    assert answer.response is None
    assert gate.bodies() == []
    gate.boxes.turn.commit()
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
    connection = gate.boxes.turn.store.connection
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
    gate.boxes.close()


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
    body = batch(GOOD | {"id": "a"}, b"{", GOOD | {"to": "alegro"}, GOOD | {"id": "d"}, b"")
    answer = gate.post(body, headers=NDJSON)
    assert answer.status == 207
    said = lines(answer)
    assert [line["status"] for line in said] == [
        "accepted", "refused", "refused", "accepted", "refused",
    ]  # fmt: skip
    assert [line["problem"]["status"] for line in said if "problem" in line] == [400, 404, 400]
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
    assert "this batch is 'ezra'" in said[1]["problem"]["detail"]


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


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path, keyring=KEYS)
    yield made
    made.boxes.close()


THEIRS = GOOD | {"from": "bezalel"}


class TestOfPeers:
    def send(self, gate: Gate, body: object, more: Any = (), **how: Any) -> Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return gate.post(raw, peer=ELSEWHERE, headers=(*signed(raw, **how), *more))

    def test_a_signed_message_is_stored_byte_for_byte(self, keyed: Gate) -> None:
        assert self.send(keyed, THEIRS | {"id": "a"}).status == 202
        assert keyed.bodies() == [json.dumps(THEIRS | {"id": "a"}).encode()]

    def test_without_an_id_it_has_the_signed_one_so_a_replay_is_no_new_message(
        self, keyed: Gate
    ) -> None:
        first, again = self.send(keyed, THEIRS), self.send(keyed, THEIRS)
        assert json.loads(first.body) == {"id": "msg-1", "status": "accepted"}
        assert (again.status, json.loads(again.body)["status"]) == (200, "duplicate")
        assert len(keyed.bodies()) == 1

    def test_lines_without_ids_are_numbered_below_the_signed_one(self, keyed: Gate) -> None:
        for expected in ("accepted", "duplicate"):
            answer = self.send(keyed, batch(THEIRS, THEIRS), NDJSON)
            assert lines(answer) == [
                {"id": "msg-1:0", "status": expected}, {"id": "msg-1:1", "status": expected},
            ]  # fmt: skip

    @pytest.mark.parametrize(
        "how", [{"key": b"x" * 32}, {"sender": "allegro"}, {"sender": "gideon"}, {"at": 400}]
    )
    def test_what_is_forged_or_stale_is_refused_once_aloud_and_not_stored(
        self, keyed: Gate, caplog: pytest.LogCaptureFixture, how: dict[str, Any]
    ) -> None:
        assert self.send(keyed, THEIRS, **how).status == 401
        assert [record.name for record in caplog.records] == ["fleet_agent.audit"]
        assert keyed.bodies() == []

    def test_a_signed_id_must_be_one_that_a_message_can_have(self, keyed: Gate) -> None:
        said = json.loads(self.send(keyed, THEIRS, id_="a/b").body)
        assert (said["status"], said["where"]) == (400, "webhook-id")

    def test_another_from_than_the_key_s_owner_is_refused_aloud_and_not_stored(
        self, keyed: Gate, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert self.send(keyed, GOOD | {"from": "allegro"}).status == 403
        answer = self.send(keyed, batch(*[GOOD | {"from": "ezra"}] * 5), NDJSON)
        assert [line["problem"]["status"] for line in lines(answer)] == [403] * 5
        assert [record.name for record in caplog.records] == ["fleet_agent.audit"] * 2
        assert keyed.bodies() == []

    def test_a_wrong_signature_is_refused_before_the_body_is_read(self, keyed: Gate) -> None:
        assert self.send(keyed, b"\xff", key=b"x" * 32).status == 401
        assert self.send(keyed, b"\xff").status == 400
