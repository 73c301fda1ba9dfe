"""The local agent's pull side at real sockets: wait, lease, settle; what a dead agent held comes
again, what was acked never does, whatever happens to the daemon."""

from __future__ import annotations

import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.busfleet import QUICK, SECONDS, BusFleet, until
from tests.pulling import local, settle, story, take

LIMITS = {**QUICK, "inbox_attempts": 3, "http_drain_seconds": 300}
NAMES = ("ezra", "bezalel", "allegro")


@pytest.fixture
def fleet() -> Iterator[BusFleet]:
    with (
        tempfile.TemporaryDirectory(prefix="fa-") as folder,
        BusFleet(Path(folder), NAMES, LIMITS) as made,
    ):
        made.start("bezalel")
        yield made


def in_background(call: Any) -> tuple[threading.Thread, list[Any]]:
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(call()), daemon=True)
    thread.start()
    return thread, got


def waiting(fleet: BusFleet, count: int) -> None:
    """Wait until ``count`` requests wait for messages."""
    until(lambda: fleet.health("bezalel", "bus:waiters")["observedValue"] == count)


def test_a_message_is_handed_out_with_its_lease_and_acked_for_ever(fleet: BusFleet) -> None:
    id_ = local(fleet, {"do": "é\\"})
    (one,) = take(fleet)
    assert (one["id"], one["attempt"]) == (id_, 1)
    assert one["message"]["payload"] == {"do": "é\\"}
    assert story(fleet, id_)["state"] == "leased"
    assert take(fleet, "") == []
    assert settle(fleet, one, "ack") == (200, {"id": id_, "status": "handled"})
    assert settle(fleet, one, "ack")[0] == 200, "an answer may be lost, and the ack repeated"
    assert (story(fleet, id_)["state"], story(fleet, id_)["attempts"]) == ("handled", 1)
    assert take(fleet, "") == []
    assert fleet.health("bezalel", "bus:depth")["observedValue"] == 0


def test_the_sender_can_ask_for_accepted_delivered_leased_and_handled(fleet: BusFleet) -> None:
    fleet.start("ezra")
    fleet.send("ezra", "bezalel", id="m")

    def there() -> Any:
        told = fleet.ask("ezra", "GET", "/message/m")[1]["deliveries"][0]
        return told.get("receiver", {}).get("state", told["state"])

    until(lambda: there() == "delivered")
    (one,) = take(fleet)
    assert there() == "leased"
    settle(fleet, one, "ack")
    assert there() == "handled"


def test_who_waits_is_answered_when_a_message_comes_and_nothing_else_waits(
    fleet: BusFleet,
) -> None:
    thread, got = in_background(lambda: take(fleet))
    waiting(fleet, 1)
    assert fleet.ask("bezalel", "GET", "/health")[0] == 200
    id_ = local(fleet, "now")
    thread.join(SECONDS)
    assert [one["id"] for one in got[0]] == [id_]


def test_many_who_wait_share_what_comes_and_nothing_is_given_twice(fleet: BusFleet) -> None:
    fleet.start("ezra", "allegro")
    count = 30
    done: list[str] = []

    def work() -> None:
        while len(done) < 3 * count:
            for one in take(fleet, "wait=1&lease=600&limit=3"):
                done.append(one["message"]["payload"])  # before others may have the next one
                assert settle(fleet, one, "ack")[0] == 200

    threads = [threading.Thread(target=work, daemon=True) for _ in range(12)]
    for thread in threads:
        thread.start()
    for number in range(count):
        for name in NAMES:
            fleet.send(name, "bezalel", f"{name} {number}")
    for thread in threads:
        thread.join(SECONDS)
    assert sorted(done) == sorted(f"{name} {number}" for name in NAMES for number in range(count))
    for name in NAMES:
        mine = [payload for payload in done if payload.startswith(name)]
        assert mine == [f"{name} {number}" for number in range(count)], "order is kept"


def test_a_waiter_whose_connection_went_away_gets_no_lease(fleet: BusFleet) -> None:
    for _ in range(5):
        gone = socket.socket(socket.AF_UNIX)
        gone.connect(fleet.socket("bezalel"))
        gone.sendall(b"GET /inbox?wait=25 HTTP/1.1\r\nHost: agent\r\n\r\n")
        waiting(fleet, 1)
        gone.close()
        waiting(fleet, 0)
    id_ = local(fleet, 1)
    (one,) = take(fleet)
    assert (one["id"], one["attempt"]) == (id_, 1)


def test_the_end_of_the_daemon_answers_who_waits(fleet: BusFleet) -> None:
    thread, got = in_background(lambda: take(fleet))
    waiting(fleet, 1)
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(fleet.socket("bezalel"))
        other.sendall(b"GET /message/x?wait=25 HTTP/1.1\r\nHost: agent\r\n\r\n")
        fleet.health("bezalel", "uptime")  # asked later: the question before it has been read
        assert fleet.end("bezalel") == 0
        thread.join(SECONDS)
        assert got == [[]]
        assert other.recv(100).startswith(b"HTTP/1.1 204 ")


def test_alerts_come_first_and_of_one_sender_one_at_a_time(fleet: BusFleet) -> None:
    fleet.start("ezra")
    local(fleet, "first")
    local(fleet, "second")
    fleet.send("ezra", "bezalel", "from ezra")
    local(fleet, "alarm", type="alert")
    until(lambda: fleet.health("bezalel", "bus:depth")["observedValue"] == 4)
    found = take(fleet, "limit=10&lease=600")
    assert [one["message"]["payload"] for one in found] == ["alarm", "first", "from ezra"]
    assert take(fleet, "limit=10") == []
    settle(fleet, found[1], "ack")
    assert [one["message"]["payload"] for one in take(fleet, "limit=10")] == ["second"]


def test_only_the_types_that_are_asked_for(fleet: BusFleet) -> None:
    request = local(fleet, "a")
    alert = local(fleet, "b", type="alert")
    thread, got = in_background(lambda: take(fleet, "wait=25&type=response,broadcast"))
    assert [one["id"] for one in take(fleet, "type=request&limit=9")] == [request]
    assert [one["id"] for one in take(fleet, "type=alert")] == [alert]
    answer = local(fleet, "c", type="response", in_reply_to="q")
    thread.join(SECONDS)
    assert [one["id"] for one in got[0]] == [answer]


def test_what_is_not_acked_in_time_comes_again_and_the_old_receipt_is_worth_nothing(
    fleet: BusFleet,
) -> None:
    local(fleet, 1)
    (first,) = take(fleet, "lease=0.1")
    (again,) = take(fleet, "wait=25&lease=600")
    assert (again["id"], again["attempt"]) == (first["id"], 2)
    status, said = settle(fleet, first, "ack")
    assert (status, said["title"]) == (409, "the lease is over")
    assert "handed out again" in said["detail"]
    assert settle(fleet, first, "extend")[0] == settle(fleet, first, "nack")[0] == 409
    assert settle(fleet, again, "ack")[0] == 200
    assert settle(fleet, again, "nack")[0] == 409


def test_an_extended_lease_does_not_end(fleet: BusFleet) -> None:
    id_ = local(fleet, 1)
    (one,) = take(fleet, "lease=0.2")
    status, said = settle(fleet, one, "extend", seconds=600)
    assert (status, said["status"]) == (200, "leased")
    assert take(fleet, "wait=0.5") == []
    assert story(fleet, id_)["leased_until"] == said["leased_until"]
    assert settle(fleet, one, "ack")[0] == 200


def test_what_is_given_back_comes_again_after_its_delay(fleet: BusFleet) -> None:
    id_ = local(fleet, 1)
    (one,) = take(fleet)
    assert settle(fleet, one, "nack", delay=600, reason="model is away")[1]["status"] == "delivered"
    told = story(fleet, id_)
    assert told["last_failure"] == "model is away"
    assert "not_before" in told
    assert take(fleet, "") == []
    assert settle(fleet, one, "nack", delay=0.05)[0] == 200
    (again,) = take(fleet)
    assert again["attempt"] == 2


def test_what_is_tried_too_often_is_dead_and_lets_the_next_one_through(fleet: BusFleet) -> None:
    poison, good = local(fleet, "poison"), local(fleet, "good")
    for attempt in (1, 2):
        (one,) = take(fleet)
        assert (one["id"], one["attempt"]) == (poison, attempt)
        settle(fleet, one, "nack", reason="it bites")
    (one,) = take(fleet, "wait=25&lease=0.1")
    until(lambda: story(fleet, poison)["state"] == "dead")
    assert settle(fleet, one, "ack")[0] == 409
    (after,) = take(fleet)
    assert after["id"] == good
    check = fleet.health("bezalel", "bus:dead-letters")
    assert (check["status"], check["observedValue"]) == ("warn", 1)

    said = fleet.ask("bezalel", "GET", "/dead-letters?box=inbox")[1]
    (dead,) = said["dead_letters"]
    assert (said["count"], dead["id"], dead["attempts"]) == (1, poison, 3)
    assert dead["reason"] == "handed out 3 times, and not settled within its lease"
    path = f"/dead-letters/{dead['number']}"
    assert fleet.ask("bezalel", "POST", f"{path}/retry?box=inbox", {})[0] == 200
    settle(fleet, after, "ack")
    (revived,) = take(fleet, "type=request")
    assert (revived["id"], revived["attempt"]) == (poison, 1)
    for _ in range(2):
        settle(fleet, revived, "nack")
        (revived,) = take(fleet, "type=request")
    assert settle(fleet, revived, "nack", reason="it bites")[1]["status"] == "dead"
    (dead,) = fleet.ask("bezalel", "GET", "/dead-letters?box=inbox")[1]["dead_letters"]
    assert dead["reason"] == "given back 3 times: it bites"
    path = f"/dead-letters/{dead['number']}"
    assert fleet.ask("bezalel", "POST", f"{path}/drop?box=inbox", {})[0] == 200
    assert fleet.ask("bezalel", "POST", f"{path}/drop?box=inbox", {})[0] == 404
    assert fleet.send("bezalel", "bezalel", "poison", id=poison)[0] == 409, "its id is remembered"
    assert story(fleet, poison)["state"] == "dropped"


def test_a_crash_between_lease_and_ack_redelivers_and_after_the_ack_never(
    fleet: BusFleet,
) -> None:
    held, acked = local(fleet, "held"), local(fleet, "acked", type="alert")
    (alarm,) = take(fleet)
    assert alarm["id"] == acked
    (one,) = take(fleet, "lease=1")
    assert settle(fleet, alarm, "ack")[0] == 200
    fleet.end("bezalel", signal.SIGKILL)
    fleet.start("bezalel")
    (again,) = take(fleet)
    assert (again["id"], again["attempt"]) == (held, 2)
    assert story(fleet, acked)["state"] == "handled"
    assert settle(fleet, one, "ack")[0] == 409
    assert settle(fleet, again, "ack")[0] == 200
    fleet.end("bezalel", signal.SIGKILL)
    fleet.start("bezalel")
    assert take(fleet, "limit=10") == []
    assert fleet.health("bezalel", "bus:depth")["observedValue"] == 0


def test_a_lease_outlives_a_restart(fleet: BusFleet) -> None:
    local(fleet, 1)
    (one,) = take(fleet, "lease=600")
    fleet.end("bezalel", signal.SIGKILL)
    fleet.start("bezalel")
    assert take(fleet, "") == []
    assert settle(fleet, one, "ack")[0] == 200


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM])
def test_while_agents_pull_and_daemons_die_all_is_handled_and_acked_once(
    fleet: BusFleet, stop: signal.Signals
) -> None:
    # Leases end all the time here, on a slow machine more often than a message may be tried.
    fleet.end("bezalel")
    fleet.configure("bezalel", {**LIMITS, "inbox_attempts": 1000})
    fleet.start("bezalel")
    count, acked, stopped = 60, [], threading.Event()

    def work() -> None:
        while not stopped.is_set():
            try:
                for one in take(fleet, "wait=0.2&lease=0.5&limit=5"):
                    if settle(fleet, one, "ack")[0] == 200:
                        acked.append(one["message"]["payload"])
            except Exception:  # noqa: BLE001 (the daemon is being killed)
                time.sleep(0.02)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for number in range(count):
        local(fleet, number, id=f"n{number}")
    for thread in threads:
        thread.start()
    for goal in (10, 30):
        until(lambda goal=goal: len(set(acked)) >= goal)
        fleet.end("bezalel", stop)
        fleet.start("bezalel")
    until(lambda: len(set(acked)) >= count - 2)
    # An ack whose answer was lost counts too, but nobody heard of it.
    until(lambda: fleet.health("bezalel", "bus:depth")["observedValue"] == 0)
    stopped.set()
    for thread in threads:
        thread.join(SECONDS)
    assert len(acked) == len(set(acked)), "what was acked never came again"
    states = fleet.rows("bezalel", "SELECT DISTINCT state FROM inbox")
    assert states == [(2,)]


def test_more_who_wait_than_allowed_are_told_so(fleet: BusFleet) -> None:
    fleet.configure("bezalel", {**LIMITS, "inbox_waiters": 1})
    fleet.daemons["bezalel"].send(signal.SIGHUP)
    until(lambda: "settings taken anew" in fleet.daemons["bezalel"].log)
    thread, _ = in_background(lambda: take(fleet))
    waiting(fleet, 1)
    status, said = fleet.ask("bezalel", "GET", "/inbox?wait=5")
    assert (status, said["title"]) == (429, "too many wait")
    local(fleet, 1)
    thread.join(SECONDS)
