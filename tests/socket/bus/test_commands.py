"""send, ask, message and dead-letters, and the Python client, over a real daemon's socket."""

from __future__ import annotations

import io
import json
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.cli.main import main
from fleet_agent.client import Client, GivenUp, Message, NoResponse
from fleet_agent.errors import ConfigError, RequestError
from fleet_agent.httpd.client import NoAnswer
from tests.busfleet import BusFleet, until


@pytest.fixture(scope="module")
def fleet() -> Iterator[BusFleet]:
    wanted = {"bezalel": ["physics"]}
    with (
        tempfile.TemporaryDirectory(prefix="fa-") as folder,
        BusFleet(Path(folder), subscriptions=wanted) as made,
    ):
        made.start()
        yield made


@pytest.fixture
def ezra(fleet: BusFleet, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("FLEET_AGENT_SOCKET", fleet.socket("ezra"))
    return Client()


def answer(fleet: BusFleet, payload: object, said: object) -> threading.Thread:
    """An agent of bezalel's that answers one request with ``payload``."""

    def work() -> None:
        rows = until(lambda: [
            row for row in fleet.rows("bezalel", "SELECT body FROM inbox")
            if json.loads(row[0])["payload"] == payload
        ])  # fmt: skip
        asked = Message.of(json.loads(rows[0][0]))
        Client(socket=fleet.socket("bezalel")).reply(asked, said)

    made = threading.Thread(target=work, daemon=True)
    made.start()
    return made


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


@pytest.mark.usefixtures("ezra")
def test_send_prints_the_id_and_message_tells_its_life(
    fleet: BusFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["send", "bezalel", '{"do": "review"}', "--id", "cli-1"]) == 0
    assert printed(capsys) == "cli-1 accepted\n"
    assert main(["send", "bezalel", '{"do": "review"}', "--id", "cli-1"]) in (0, 2)
    until(lambda: {"do": "review"} in fleet.inbox("bezalel"))
    capsys.readouterr()
    until(lambda: main(["message", "cli-1"]) == 0 and "delivered, received at" in printed(capsys))
    assert main(["message", "cli-1", "--json"]) == 0
    told = json.loads(printed(capsys))
    assert [one["to"] for one in told["deliveries"]] == ["bezalel"]
    socket = fleet.socket("bezalel")
    assert main(["message", "cli-1", "--from", "ezra", "--socket", socket]) == 0
    assert "here: delivered" in printed(capsys)
    assert main(["message", "nobody-sent-this"]) == 2


@pytest.mark.usefixtures("ezra")
def test_send_takes_text_json_and_stdin(
    fleet: BusFleet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('["from", "stdin"]'))
    for said in ("plain words", "-"):
        assert main(["send", "*", said, "--json"]) == 0
        assert json.loads(printed(capsys))["status"] == "accepted"
    until(lambda: ["from", "stdin"] in fleet.inbox("bezalel"))
    assert "plain words" in fleet.inbox("bezalel")


@pytest.mark.usefixtures("ezra")
def test_ask_prints_the_answer(fleet: BusFleet, capsys: pytest.CaptureFixture[str]) -> None:
    agent = answer(fleet, "2+2?", "4")
    assert main(["ask", "bezalel", "2+2?", "--timeout", "50"]) == 0
    assert printed(capsys) == "4\n"
    agent.join()


@pytest.mark.usefixtures("ezra")
def test_ask_says_when_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "bezalel", "anybody?", "--timeout", "0.3"]) == 4
    assert "no response within 0.3 s" in capsys.readouterr().err


@pytest.mark.usefixtures("ezra")
def test_a_refusal_names_field_and_mend(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["send", "bezalell", "x"]) == 2
    said = capsys.readouterr().err
    assert "has no wizard 'bezalell'" in said
    assert "did you mean 'bezalel'?" in said


def test_dead_letters_are_listed_retried_and_dropped(
    fleet: BusFleet, ezra: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.end("bezalel")
    try:
        assert main(["dead-letters"]) == 0
        assert printed(capsys) == "no dead letters\n"
        first = ezra.send("bezalel", "first", ttl=0.5)
        ezra.send("bezalel", "second", ttl=0.5)
        with pytest.raises(GivenUp, match="not delivered to bezalel"):
            ezra.response_to(first.id, timeout=50)
        until(lambda: len(ezra.dead_letters()) == 2)
        assert main(["dead-letters", "list"]) == 0
        lines = printed(capsys).splitlines()
        assert len(lines) == 3
        number = lines[1].split()[0]
        assert main(["dead-letters", "retry", number]) == 0
        assert printed(capsys) == "1 tried once more\n"
        assert main(["dead-letters", "drop", "--all"]) == 0
        assert printed(capsys) == "1 dropped\n"
        assert main(["dead-letters", "drop"]) == 2
    finally:
        fleet.start("bezalel")
    until(lambda: "first" in fleet.inbox("bezalel"))
    assert "second" not in fleet.inbox("bezalel")


def test_the_client_asks_and_replies(fleet: BusFleet, ezra: Client) -> None:
    agent = answer(fleet, {"q": 1}, {"a": 2})
    said = ezra.ask("bezalel", {"q": 1}, timeout=50)
    assert (said.sender, said.type, said.payload, said.hops) == ("bezalel", "response", {"a": 2}, 1)
    assert ezra.response_to(said.in_reply_to or "").payload == {"a": 2}
    agent.join()


def test_the_client_waits_no_longer_than_it_is_told(ezra: Client) -> None:
    with pytest.raises(NoResponse) as caught:
        ezra.ask("bezalel", "nobody will answer this", timeout=0.2)
    assert ezra.life(caught.value.id)["id"] == caught.value.id


def test_many_messages_in_one_go_and_the_first_refusal(fleet: BusFleet, ezra: Client) -> None:
    sent = ezra.send_many([{"to": "bezalel", "payload": f"many {n}"} for n in range(3)])
    assert [one.status for one in sent] == ["accepted"] * 3
    with pytest.raises(RequestError, match="'bezalell'"):
        ezra.send_many([{"to": "bezalel", "payload": "ok"}, {"to": "bezalell", "payload": 2}])
    until(lambda: [f"many {n}" for n in range(3)] == [
        one for one in fleet.inbox("bezalel") if str(one).startswith("many")])  # fmt: skip


def test_a_broadcast_with_a_topic_carries_it_in_its_payload(fleet: BusFleet, ezra: Client) -> None:
    ezra.broadcast("water boils at 100 °C", topic="physics")
    until(lambda: {"value": "water boils at 100 °C", "topic": "physics"} in fleet.inbox("bezalel"))


def test_a_daemon_that_is_not_there_is_said_and_nothing_hangs(tmp_path: Path) -> None:
    with pytest.raises(NoAnswer):
        Client(socket=str(tmp_path / "none"), wizard="ezra", patience=0.1).send("bezalel", 1)
    with pytest.raises(ConfigError):
        Client(socket="a", url="http://b")
