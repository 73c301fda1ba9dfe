"""What the pull side refuses: others than the local agent, and questions that are none."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.busfleet import BusFleet
from tests.daemon import ask as ask_tcp
from tests.pulling import local, story, take


@pytest.fixture
def fleet() -> Iterator[BusFleet]:
    with tempfile.TemporaryDirectory(prefix="fa-") as folder, BusFleet(Path(folder)) as made:
        made.start("bezalel")
        yield made


def test_the_inbox_is_for_the_local_agent_alone(fleet: BusFleet) -> None:
    id_ = local(fleet, 1)
    (one,) = take(fleet)
    from_ = {"fleet-from": "ezra"}  # unsigned: allow
    port = fleet.ports["bezalel"]
    for method, path in (
        ("GET", "/inbox"),
        ("POST", f"/inbox/{id_}/ack"),
        ("POST", f"/inbox/{id_}/nack"),
        ("POST", f"/inbox/{id_}/extend"),
        ("POST", f"/message/{id_}/answered"),
        ("GET", "/dead-letters?box=inbox"),
    ):
        body = {"receipt": one["receipt"]} if method == "POST" else None
        assert ask_tcp(port, method, path, body, from_)[0] == 403, path
    assert story(fleet, id_)["state"] == "leased"


@pytest.mark.parametrize(
    "query",
    ["wait=long", "wait=-1", "limit=0", "limit=1.5", "limit=9999", "lease=nan", "type=shout"],
)
def test_a_question_that_is_none_names_the_mend(fleet: BusFleet, query: str) -> None:
    status, said = fleet.ask("bezalel", "GET", f"/inbox?{query}")
    assert (status, said["where"]) == (400, "query")
    assert said["mend"]


@pytest.mark.parametrize(
    ("how", "body", "status", "where"),
    [
        ("ack", {}, 400, "receipt"),
        ("ack", {"receipt": 5}, 400, "receipt"),
        ("ack", {"receipt": "x", "delay": 1}, 400, "delay"),
        ("ack", {"receipt": "x"}, 404, "receipt"),
        ("ack", {"receipt": "1." + "0" * 24}, 409, "receipt"),
        ("ack", {"receipt": "9" * 30 + ".x"}, 404, "receipt"),
        ("ack", {"receipt": "\N{ARABIC-INDIC DIGIT ONE}.x"}, 404, "receipt"),
        ("nack", {"receipt": "x", "delay": -1}, 400, "delay"),
        ("nack", {"receipt": "x", "reason": 5}, 400, "reason"),
        ("extend", {"receipt": "x", "seconds": True}, 400, "seconds"),
        ("extend", [], 400, ""),
    ],
)
def test_a_settling_that_is_none_settles_nothing(
    fleet: BusFleet, how: str, body: Any, status: int, where: str
) -> None:
    id_ = local(fleet, 1)
    take(fleet)
    answer = fleet.ask("bezalel", "POST", f"/inbox/{id_}/{how}", body)
    assert (answer[0], answer[1].get("where", "")) == (status, where), answer
    assert story(fleet, id_)["state"] == "leased"


def test_a_receipt_settles_its_own_message_only(fleet: BusFleet) -> None:
    first, second = local(fleet, 1), local(fleet, 2, type="alert")
    (alarm, one) = take(fleet, "limit=2")
    status, said = fleet.ask(
        "bezalel", "POST", f"/inbox/{first}/ack", {"receipt": alarm["receipt"]}
    )
    assert (status, one["id"]) == (404, first), said
    assert story(fleet, second)["state"] == "leased"


def test_a_head_takes_nothing(fleet: BusFleet) -> None:
    id_ = local(fleet, 1)
    assert fleet.ask("bezalel", "HEAD", "/inbox")[0] == 200
    assert story(fleet, id_)["attempts"] == 0


def test_a_picture_of_a_web_page_takes_nothing(fleet: BusFleet) -> None:
    id_ = local(fleet, 1)
    said = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert ask_tcp(fleet.ports["bezalel"], "GET", "/inbox", None, said)[0] == 403
    assert story(fleet, id_)["attempts"] == 0
