"""Handlers: real daemons, runners and programs; every message is handled, whoever is killed."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.client import Client, NotHandled
from tests.busfleet import QUICK, BusFleet, free_ports, until

LIMITS = QUICK | {
    "handler_lease_seconds": 3, "handler_retry_first_seconds": 0.05,
    "handler_retry_most_seconds": 0.2, "handler_jobs": 2, "inbox_attempts": 3,
}  # fmt: skip
# Notes what it was given, does what the payload says, and answers with it.
PROGRAM = """
import json, os, sys, time
folder = {folder!r}
message = json.load(sys.stdin)
payload = message["payload"]
with open(os.path.join(folder, "log"), "a") as log:
    log.write(f"begin {{message['from']}} {{payload}}\\n")
if payload == "wait":
    open(os.path.join(folder, f"pid-{{os.getpid()}}"), "w").close()
    while not os.path.exists(os.path.join(folder, "go")):
        time.sleep(0.01)
if payload == "fail":
    sys.exit("I can't")
with open(os.path.join(folder, "log"), "a") as log:
    log.write(f"end {{message['from']}} {{payload}}\\n")
print({{"text": "no json", "empty": ""}}.get(payload, json.dumps({{"answer": payload}})))
"""


@contextmanager
def fleet(*types: str, limits: dict[str, float] | None = None) -> Iterator[BusFleet]:
    """Three wizards; bezalel has handlers."""
    with tempfile.TemporaryDirectory(prefix="fa-") as place:
        folder = Path(place)
        (folder / "handler.py").write_text(PROGRAM.format(folder=place))
        command = {"exec": [sys.executable, "-I", "-S", str(folder / "handler.py")]}
        names = ("ezra", "bezalel", "allegro")
        handlers = {"bezalel": dict.fromkeys(types or ("request",), command)}
        with BusFleet(folder, names, LIMITS | (limits or {}), handlers=handlers) as made:
            made.start()
            made.start_runner("bezalel")
            yield made


def asking(fleet: BusFleet, name: str = "ezra") -> Client:
    return Client(socket=fleet.socket(name))


def log(fleet: BusFleet) -> list[str]:
    path = fleet.folder / "log"
    return path.read_text().splitlines() if path.exists() else []


def states(fleet: BusFleet) -> list[int]:
    return [row[0] for row in fleet.rows("bezalel", "SELECT state FROM inbox ORDER BY seq")]


def test_a_program_answers_who_asks(tmp_path: Path) -> None:
    with fleet() as wizards:
        client = asking(wizards)
        for number in range(3):
            said = client.ask("bezalel", number, timeout=50)
            assert (said.sender, said.type, said.payload, said.hops) == (
                "bezalel", "response", {"answer": number}, 1)  # fmt: skip
        assert states(wizards) == [2, 2, 2]
        assert wizards.health("bezalel", "handlers:running")["status"] == "pass"


def test_who_asks_hears_of_a_handler_that_gave_up_and_others_go_on() -> None:
    with fleet() as wizards:
        client = asking(wizards)
        with pytest.raises(NotHandled, match="ended with exit code 1: I can't"):
            client.ask("bezalel", "fail", timeout=50)
        assert log(wizards) == ["begin ezra fail"] * 3
        with pytest.raises(NotHandled, match=r"its output is not JSON .* begins with 'no json"):
            client.ask("bezalel", "text", timeout=50)
        with pytest.raises(NotHandled, match="said nothing"):
            client.ask("bezalel", "empty", timeout=50)
        assert client.ask("bezalel", "well", timeout=50).payload == {"answer": "well"}
        rows = wizards.rows("bezalel", "SELECT reason FROM inbox WHERE state = 3")
        assert len(rows) == 3
        assert "given back 3 times" in rows[0][0]


def test_one_senders_messages_are_handled_in_order_and_others_meanwhile() -> None:
    with fleet() as wizards:
        wizards.send("ezra", "bezalel", "wait")
        for number in range(3):
            wizards.send("ezra", "bezalel", number)
        until(lambda: "begin ezra wait" in log(wizards))
        assert asking(wizards, "allegro").ask("bezalel", "me", timeout=50).payload == {
            "answer": "me"
        }
        assert log(wizards) == ["begin ezra wait", "begin allegro me", "end allegro me"]
        (wizards.folder / "go").touch()
        until(lambda: "end ezra 2" in log(wizards))
        mine = [line for line in log(wizards) if "ezra" in line]
        assert mine == [f"{word} ezra {what}" for what in ("wait", 0, 1, 2)
                        for word in ("begin", "end")]  # fmt: skip


def test_an_alert_is_handled_while_requests_take_all_places() -> None:
    with fleet("request", "alert") as wizards:
        for name in ("ezra", "allegro"):
            wizards.send(name, "bezalel", "wait")
        until(lambda: len(log(wizards)) == 2)
        wizards.send("bezalel", "bezalel", "later")
        wizards.send("ezra", "bezalel", "fire", type="alert")
        until(lambda: "end ezra fire" in log(wizards))
        assert "begin bezalel later" not in log(wizards)
        (wizards.folder / "go").touch()
        until(lambda: "end bezalel later" in log(wizards))


def test_a_broadcast_is_handled_and_answered_by_nobody() -> None:
    with fleet("broadcast") as wizards:
        wizards.send("ezra", "*", "text", type="broadcast")
        until(lambda: states(wizards) == [2])
        assert log(wizards) == ["begin ezra text", "end ezra text"]
        assert wizards.rows("ezra", "SELECT count(*) FROM inbox") == [(0,)]


@pytest.mark.parametrize("killed", ["daemon", "runner"])
def test_what_was_being_handled_is_handled_again(killed: str) -> None:
    with fleet() as wizards:
        client = asking(wizards)
        sent = client.send("bezalel", "wait")
        until(lambda: list(wizards.folder.glob("pid-*")))
        if killed == "daemon":
            wizards.end("bezalel", signal.SIGKILL)
            (wizards.folder / "go").touch()
            wizards.start("bezalel")
        else:
            wizards.end_runner("bezalel", signal.SIGKILL)
            (wizards.folder / "go").touch()
            wizards.start_runner("bezalel")
        assert client.response_to(sent.id, timeout=50).payload == {"answer": "wait"}
        assert log(wizards).count("begin ezra wait") >= 2
        until(lambda: states(wizards) == [2])


def test_a_daemon_that_ends_in_order_gives_back_what_it_had() -> None:
    with fleet(limits={"handler_lease_seconds": 3600}) as wizards:
        client = asking(wizards)
        sent = client.send("bezalel", "wait")
        until(lambda: list(wizards.folder.glob("pid-*")))
        wizards.end("bezalel")
        assert wizards.rows("bezalel", "SELECT state, attempts FROM inbox") == [(0, 0)]
        (wizards.folder / "go").touch()
        wizards.start("bezalel")
        assert client.response_to(sent.id, timeout=50).payload == {"answer": "wait"}


def test_without_a_runner_messages_wait_and_no_attempt_is_used_up() -> None:
    with fleet() as wizards:
        wizards.end_runner("bezalel")
        client = asking(wizards)
        sent = client.send("bezalel", "patience")
        health: Any = until(lambda: _warns(wizards))
        assert "the runner is not to be had" in health["output"]
        wizards.start_runner("bezalel")
        assert client.response_to(sent.id, timeout=50).payload == {"answer": "patience"}
        assert wizards.rows("bezalel", "SELECT attempts FROM inbox") == [(1,)]
        assert wizards.health("bezalel", "handlers:running")["status"] == "pass"


def _warns(wizards: BusFleet) -> Any:
    found = wizards.health("bezalel", "handlers:running")
    return found if found["status"] == "warn" else None


def test_types_without_a_handler_wait_for_the_agent() -> None:
    with fleet() as wizards:
        wizards.send("ezra", "bezalel", "look", type="alert")
        assert asking(wizards).ask("bezalel", 1, timeout=50).payload == {"answer": 1}
        (received,) = asking(wizards, "bezalel").inbox()
        assert received.message.payload == "look"
        received.nack()
        rows = wizards.rows("bezalel", "SELECT state, body FROM inbox ORDER BY seq")
        assert [(state, json.loads(body)["type"]) for state, body in rows] == [
            (0, "alert"), (2, "request")]  # fmt: skip


class Local(BaseHTTPRequestHandler):
    """An agent on loopback: answers with what it was given, or as the payload says."""

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        payload = message["payload"]
        status = payload if isinstance(payload, int) else 200
        body = b"" if status == 204 else json.dumps({"heard": payload}).encode()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def test_a_server_on_loopback_answers_too() -> None:
    with tempfile.TemporaryDirectory(prefix="fa-") as place:
        (port,) = free_ports(1)
        handlers = {"bezalel": {"request": {"http": f"http://127.0.0.1:{port}/in"}}}
        with BusFleet(Path(place), limits=LIMITS, handlers=handlers) as wizards:
            wizards.start()
            client = asking(wizards)
            early = client.send("bezalel", "early")
            until(lambda: _warns(wizards))
            server = HTTPServer(("127.0.0.1", port), Local)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                heard = client.response_to(early.id, timeout=50).payload
                assert heard == {"heard": "early"}
                with pytest.raises(NotHandled, match="answered 500"):
                    client.ask("bezalel", 500, timeout=50)
                sent = client.send("bezalel", 204)
                until(lambda: states(wizards) == [2, 3, 2])
                assert wizards.rows(
                    "ezra", f"SELECT 1 FROM inbox WHERE in_reply_to = '{sent.id}'"
                ) == []  # fmt: skip
            finally:
                server.shutdown()
                server.server_close()
