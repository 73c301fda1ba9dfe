"""Batches between daemons at POST /message: who may, in which order, and what each line is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.bus.batch import Head, write
from fleet_agent.bus.sending import Sending
from fleet_agent.errors import FleetError
from fleet_agent.gateway.messages import Messages
from fleet_agent.httpd.deferred import Deferred
from fleet_agent.httpd.types import Response
from fleet_agent.limits import Limits
from fleet_agent.wire import MEDIA_STREAM
from tests.unit.bus.busparts import Boxes
from tests.unit.gateway.gatewayparts import ELSEWHERE, UNIX, request, serving

LIMITS = Limits({"inbox_messages": 100, "batch_lines": 5})
HEAD = Head("bezalel", "ezra", "s-0", 0, (1, 2))


class Gate:
    """Messages in front of real boxes, in a fleet without keys."""

    def __init__(self, folder: Path) -> None:
        self.boxes = Boxes(folder, LIMITS)
        mine = serving(unsigned=True)
        boxes = self.boxes
        self.heard: list[str] = []
        sending = Sending(
            "ezra", lambda: mine.registry, boxes.inbox, boxes.outbox, lambda _: 0.0, LIMITS
        )
        self.messages = Messages(
            mine, boxes.inbox, sending, LIMITS, heard_of=self.heard.append, now=lambda: 2.0
        )

    def post(self, head: Head, bodies: list[bytes], **more: Any) -> Response:
        body = write(head, bodies)
        headers = (("Content-Type", MEDIA_STREAM), ("fleet-from", head.sender))
        more.setdefault("headers", headers)
        more.setdefault("peer", ELSEWHERE)
        try:
            answer = self.messages.post(request("/message", body, **more))
        except FleetError as error:
            return Response(error.http_status, error.where.encode())
        if isinstance(answer, Deferred):
            self.boxes.turn.commit()
            assert answer.response is not None
            return answer.response
        return answer


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path)
    yield made
    made.boxes.close()


def body(id_: str, **changes: Any) -> bytes:
    value = {"from": "bezalel", "to": "ezra", "type": "request", "payload": 1, "timestamp": 1}
    return json.dumps({**value, "id": id_, **changes}).encode()


def statuses(answer: Response) -> list[Any]:
    lines = [json.loads(line) for line in answer.body.splitlines()]
    return [line["problem"]["status"] if "problem" in line else line["status"] for line in lines]


def test_a_batch_is_stored_and_its_repeat_known_by_its_places(gate: Gate) -> None:
    first = gate.post(HEAD, [body("a"), body("b")])
    assert (first.status, statuses(first)) == (202, ["accepted", "accepted"])
    again = gate.post(HEAD, [body("a"), body("b")])
    assert (again.status, statuses(again)) == (202, ["duplicate", "duplicate"])
    assert gate.heard == ["bezalel", "bezalel"]
    assert gate.boxes.rows("SELECT id, body FROM inbox ORDER BY seq") == [
        ("a", body("a")), ("b", body("b")),
    ]  # fmt: skip


def test_what_follows_a_refused_line_waits_for_its_sender_to_know(gate: Gate) -> None:
    said = gate.post(HEAD._replace(numbers=(1, 2, 3)), [body("a"), b"{", body("c")])
    assert (said.status, statuses(said)) == (207, ["accepted", 400, 412])
    said = gate.post(HEAD._replace(numbers=(3,)), [body("c")])
    assert statuses(said) == ["accepted"]


def test_a_batch_that_overtook_another_is_refused(gate: Gate) -> None:
    late = gate.post(HEAD._replace(after=2, numbers=(3,)), [body("c")])
    assert statuses(late) == [412]
    gate.post(HEAD, [body("a"), body("b")])
    assert statuses(gate.post(HEAD._replace(after=2, numbers=(3,)), [body("c")])) == ["accepted"]


@pytest.mark.parametrize(
    ("head", "bodies", "status"),
    [
        (HEAD._replace(receiver="allegro"), [body("a"), body("b")], 421),
        (HEAD, [body("a")], 400),
        (HEAD._replace(numbers=(1, 2, 3, 4, 5, 6)), [body("a")] * 6, 413),
        (HEAD._replace(numbers=()), [], 400),
    ],
)
def test_a_batch_that_is_not_for_us_or_does_not_fit_is_refused_whole(
    gate: Gate, head: Head, bodies: list[bytes], status: int
) -> None:
    assert gate.post(head, bodies).status == status
    assert gate.boxes.rows("SELECT 1 FROM inbox") == []


def test_each_line_is_the_heads_senders(gate: Gate) -> None:
    other = body("b", **{"from": "allegro"})
    assert statuses(gate.post(HEAD, [other, body("a")])) == [400, 412]


def test_the_local_agent_has_no_streams(gate: Gate) -> None:
    local = (("Content-Type", MEDIA_STREAM),)
    own = HEAD._replace(sender="ezra")
    assert gate.post(own, [body("a"), body("b")], peer=UNIX, headers=local).status == 403
    assert gate.heard == []


def test_a_head_that_is_none_is_refused(gate: Gate) -> None:
    headers = (("Content-Type", MEDIA_STREAM), ("fleet-from", "bezalel"))
    with pytest.raises(FleetError) as caught:
        gate.messages.post(request("/message", b'{"v":1}\n{}\n', peer=ELSEWHERE, headers=headers))
    assert caught.value.http_status == 400
