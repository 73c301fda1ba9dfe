"""The agents' library and commands on the pull side, and asking with a bearer token."""

from __future__ import annotations

import json
import re
import signal
import tempfile
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.cli.main import main
from fleet_agent.client import Client, Message, Received
from fleet_agent.errors import RequestError
from tests.busfleet import QUICK, SECONDS, BusFleet, until

TOKEN = "alexanders-token"


@pytest.fixture
def fleet() -> Iterator[BusFleet]:
    limits = {**QUICK, "inbox_attempts": 2}
    with (
        tempfile.TemporaryDirectory(prefix="fa-") as folder,
        BusFleet(Path(folder), limits=limits) as made,
    ):
        made.start()
        yield made


@pytest.fixture
def ezra(fleet: BusFleet) -> Client:
    return Client(socket=fleet.socket("ezra"))


@pytest.fixture
def bezalel(fleet: BusFleet, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("FLEET_AGENT_SOCKET", fleet.socket("bezalel"))
    return Client()


def agent(client: Client, times: int = 1) -> threading.Thread:
    """An agent that answers requests with their payload doubled, ``times`` times."""

    def work() -> None:
        for number, received in enumerate(client.receive(types=["request"]), start=1):
            with received:
                client.reply(received.message, received.message.payload * 2)
            if number == times:
                return

    made = threading.Thread(target=work, daemon=True)
    made.start()
    return made


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def unhandled(fleet: BusFleet, name: str) -> Any:
    return fleet.health(name, "bus:depth")["observedValue"]


def test_ask_and_receive_leave_nothing_unhandled(
    fleet: BusFleet, ezra: Client, bezalel: Client
) -> None:
    working = agent(bezalel, 3)
    for number in (1, 2, 3):
        assert ezra.ask("bezalel", number, timeout=SECONDS).payload == number * 2
    working.join(SECONDS)
    assert (unhandled(fleet, "ezra"), unhandled(fleet, "bezalel")) == (0, 0)
    assert ezra.inbox() == []


def test_a_response_that_is_waited_for_is_handed_out_to_nobody_else(
    fleet: BusFleet, ezra: Client, bezalel: Client
) -> None:
    pulled: list[Received] = []
    ended = threading.Event()

    def pull() -> None:
        while not ended.is_set():
            pulled.extend(ezra.inbox(wait=0.2))

    pulling = threading.Thread(target=pull, daemon=True)
    asked: list[Message] = []
    asking = threading.Thread(
        target=lambda: asked.append(ezra.ask("bezalel", "x", timeout=SECONDS)), daemon=True
    )
    asking.start()
    (request,) = bezalel.inbox(wait=20)
    # ezra's daemon knows by now that somebody waits: the answer is not there, and is asked for.
    pulling.start()
    until(lambda: fleet.health("ezra", "bus:waiters")["observedValue"])
    bezalel.reply(request.message, "xx")
    asking.join(SECONDS)
    other = ezra.send("ezra", "for the one who pulls")
    until(lambda: other.id in [one.id for one in pulled])
    ended.set()
    pulling.join(SECONDS)
    assert [one.payload for one in asked] == ["xx"]
    assert [one.message.payload for one in pulled] == ["for the one who pulls"]


def test_a_message_is_acked_at_the_end_of_its_context_and_given_back_by_an_exception(
    fleet: BusFleet, bezalel: Client
) -> None:
    sent = bezalel.send("bezalel", 1)
    (received,) = bezalel.inbox(lease=600)
    with pytest.raises(ValueError, match="no idea"), received:
        raise ValueError("no idea")
    assert bezalel.life(sent.id)["received"]["last_failure"] == "ValueError: no idea"
    (received,) = bezalel.inbox(wait=20, lease=600)
    assert (received.attempt, received.id, received.message.id) == (2, sent.id, sent.id)
    assert "attempt=2" in repr(received)
    before = received.leased_until
    received.extend(3000)
    assert received.leased_until > before
    assert not received.nack(reason="still none"), "it was the last attempt"
    with pytest.raises(RequestError) as caught:
        received.ack()
    assert caught.value.http_status == 409
    (dead,) = bezalel.dead_letters(box="inbox")
    bezalel.retry(dead["number"], box="inbox")
    (received,) = bezalel.inbox(wait=20, types=["request"])
    received.ack()
    (told,) = bezalel.inbox(types=["response"])  # that it was given up, before it was revived
    told.ack()
    assert bezalel.life(sent.id)["received"]["state"] == "handled"
    assert unhandled(fleet, "bezalel") == 0


def test_the_loop_goes_on_over_a_restart_of_the_daemon(fleet: BusFleet, bezalel: Client) -> None:
    got: list[Any] = []

    def work() -> None:
        for received in bezalel.receive():
            with received:
                got.append(received.message.payload)
            if received.message.payload == "last":
                return

    working = threading.Thread(target=work, daemon=True)
    working.start()
    bezalel.send("bezalel", "first")
    until(lambda: got == ["first"])
    fleet.end("bezalel")
    fleet.start("bezalel")
    bezalel.send("bezalel", "last")
    working.join(SECONDS)
    assert got == ["first", "last"]


@pytest.mark.usefixtures("bezalel")
def test_inbox_ack_and_nack_as_commands(
    fleet: BusFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inbox"]) == 0
    assert printed(capsys) == ""
    fleet.send("bezalel", "bezalel", {"do": "review"}, id="cli-1")
    assert main(["inbox", "--wait", "20", "--lease", "600", "--type", "request"]) == 0
    said = printed(capsys)
    assert said.startswith("cli-1 request from bezalel at ")
    assert '{"do": "review"}' in said
    found = re.search(r"fleet-agent (ack cli-1 \S+)", said)
    assert found is not None
    _, id_, receipt = found[1].split()
    assert main(["nack", id_, receipt, "--reason", "later"]) == 0
    assert printed(capsys) == "cli-1 delivered\n"
    assert main(["--json", "inbox"]) == 0
    (one,) = json.loads(printed(capsys))["messages"]
    assert (one["attempt"], one["message"]["payload"]) == (2, {"do": "review"})
    assert main(["ack", id_, receipt]) == 2
    assert "handed out again" in capsys.readouterr().err
    assert main(["ack", id_, one["receipt"]]) == 0
    assert printed(capsys) == "cli-1 handled\n"
    assert main(["message", "cli-1"]) == 0
    assert "here: handled" in printed(capsys)

    fleet.send("bezalel", "bezalel", "x", id="cli-2")
    assert main(["inbox", "--ack"]) == 0
    assert "fleet-agent ack" not in printed(capsys)
    assert unhandled(fleet, "bezalel") == 0


@pytest.mark.usefixtures("bezalel")
def test_dead_letters_of_both_boxes_are_listed_retried_and_dropped_together(
    fleet: BusFleet, bezalel: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    bezalel.send("bezalel", "poison")
    for _ in range(2):
        (one,) = bezalel.inbox(wait=20)
        one.nack(reason="it bites")
    fleet.end("ezra")
    bezalel.send("ezra", "late", ttl=0.2)
    until(bezalel.dead_letters)
    assert main(["dead-letters"]) == 0
    lines = printed(capsys).splitlines()
    out, into = lines[1].split()[0], lines[2].split()[0]
    assert (out.isdigit(), into[:2]) == (True, "in")
    assert "given back 2 times: it bites" in lines[2]
    assert main(["dead-letters", "retry", into]) == 0
    assert printed(capsys) == "1 tried once more\n"
    assert main(["dead-letters", "retry", "no7"]) == 2
    capsys.readouterr()
    (one,) = bezalel.inbox(wait=20, types=["request"])
    assert (one.message.payload, one.attempt) == ("poison", 1)
    one.nack()
    (one,) = bezalel.inbox(wait=20, types=["request"])
    one.nack()
    assert main(["--json", "dead-letters", "drop", "--all"]) == 0
    dropped = json.loads(printed(capsys))["drop"]
    assert [name[:2] == "in" for name in dropped] == [False, True]
    assert main(["dead-letters"]) == 0
    assert printed(capsys) == "no dead letters\n"


def test_a_token_holder_asks_and_knows_the_life_of_what_it_sent(
    fleet: BusFleet, bezalel: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = fleet.folder / "bezalel" / "keys"
    keys.mkdir(exist_ok=True)
    tokens = [{"sha256": sha256(TOKEN.encode()).hexdigest(), "principal": "alexander"}]
    (keys / "tokens.json").write_text(json.dumps({"v": 1, "wizard": "bezalel", "tokens": tokens}))
    fleet.daemons["bezalel"].send(signal.SIGHUP)
    until(lambda: "settings taken anew" in fleet.daemons["bezalel"].log)
    token_file = fleet.folder / "token"
    token_file.write_text(TOKEN)
    url = f"http://127.0.0.1:{fleet.ports['bezalel']}"
    there = ["--url", url, "--token-file", str(token_file), "--as", "alexander"]

    working = agent(bezalel)
    assert main(["ask", "bezalel", "21", "--timeout", str(SECONDS), *there]) == 0
    assert printed(capsys) == "42\n"
    working.join(SECONDS)
    assert unhandled(fleet, "bezalel") == 0, "what is kept for alexander is nobody's to handle"
    assert bezalel.inbox() == []

    alexander = Client(url=url, token=TOKEN, wizard="alexander")
    sent = alexander.send("bezalel", 1)
    assert alexander.life(sent.id)["received"]["state"] == "delivered"
    (one,) = bezalel.inbox()
    assert alexander.life(sent.id)["received"]["state"] == "leased"
    one.ack()
    assert main(["message", sent.id, *there]) == 0
    assert "here: handled" in printed(capsys)

    own = bezalel.send("bezalel", 2)
    with pytest.raises(RequestError) as caught:
        alexander.life(own.id)
    assert caught.value.http_status == 404, "others' messages are not its to ask for"
    with pytest.raises(RequestError) as caught:
        alexander.inbox()
    assert caught.value.http_status == 403
    with pytest.raises(RequestError):
        bezalel.send("alexander", "unasked", type="response", in_reply_to="never-sent")
