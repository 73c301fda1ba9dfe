"""Messages between real daemons over TLS: believed, not believed, and believed again."""

from __future__ import annotations

import json
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent import proc
from fleet_agent.httpd.client import request
from fleet_agent.wire import TLS_CA_FILE, TLS_PAIR_FILE
from tests.authority import Issued, issued
from tests.busfleet import SECONDS, BusFleet, until


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[BusFleet]:
    with BusFleet(tmp_path, tls=True) as made:
        yield made


def certify(fleet: BusFleet, name: str, server: Issued, trust: Issued | None = None) -> None:
    """Give a daemon its files; they count from its next start or reload."""
    keys = fleet.folder / name / "keys"
    keys.mkdir(parents=True, exist_ok=True)
    (keys / TLS_PAIR_FILE).write_text(server.pair)
    (keys / TLS_CA_FILE).write_text((trust or issued()).authorities)


def delivered(fleet: BusFleet, name: str, payloads: list[object]) -> None:
    until(lambda: fleet.inbox(name) == payloads)


def test_messages_flow_over_tls_both_ways_alone_and_in_batches(fleet: BusFleet) -> None:
    for name in fleet.ports:
        certify(fleet, name, issued())
    fleet.start()
    lines = b"\n".join(
        json.dumps({"from": "ezra", "to": "bezalel", "type": "request", "payload": number,
                    "timestamp": 1, "id": f"m{number}"}).encode() for number in range(1000)
    )  # fmt: skip
    assert fleet.ask("ezra", "POST", "/message", lines)[0] == 202
    fleet.send("bezalel", "ezra", "back")
    big = "x" * 200_000
    fleet.send("ezra", "bezalel", big)
    delivered(fleet, "ezra", ["back"])
    delivered(fleet, "bezalel", [*range(1000), big])
    assert fleet.health("ezra", "bus:peers")["status"] == "pass"
    status, life = fleet.ask("ezra", "GET", "/message/m7")  # asks bezalel's daemon, over TLS
    assert (status, "bezalel" in json.dumps(life)) == (200, True)


def test_nothing_is_ever_said_in_plain(fleet: BusFleet) -> None:
    """A daemon that speaks plain where TLS is expected gets no message, and the other way."""
    certify(fleet, "ezra", issued())
    fleet.tls = False
    fleet.configure("bezalel", {})
    fleet.start()
    fleet.send("ezra", "bezalel", 1)
    trouble = until(lambda: [line for line in fleet.daemons["ezra"].log.splitlines()
                             if "bezalel: not delivered" in line])  # fmt: skip
    assert "no TLS is spoken there" in trouble[0]
    assert fleet.inbox("bezalel") == []
    fleet.end("bezalel")
    certify(fleet, "bezalel", issued())
    fleet.tls = True
    fleet.configure("bezalel", {})
    fleet.start("bezalel")
    delivered(fleet, "bezalel", [1])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (issued(of="two"), "its certificate is not from a CA that is believed here"),
        (issued("192.0.2.77"), "its certificate is for another address"),
        (issued("127.0.0.1", age_days=40, days=30), "its certificate has expired"),
    ],
    ids=["another CA", "another address", "expired"],
)
def test_a_wrong_certificate_gets_nothing_is_shown_in_health_and_mended_by_a_reload(
    fleet: BusFleet, wrong: Issued, words: str
) -> None:
    certify(fleet, "ezra", issued())
    certify(fleet, "bezalel", wrong)
    fleet.start()
    fleet.send("ezra", "bezalel", 1)
    check = until(
        lambda: (found := fleet.health("ezra", "bus:peers"))["status"] == "warn" and found
    )
    assert words in check["output"]
    assert fleet.inbox("bezalel") == []
    if "expired" in words:
        assert fleet.health("bezalel", "tls:certificate")["status"] == "fail"
    certify(fleet, "bezalel", issued())
    fleet.daemons["bezalel"].send(signal.SIGHUP)
    fleet.daemons["bezalel"].until("READY=1")
    delivered(fleet, "bezalel", [1])
    assert until(lambda: fleet.health("ezra", "bus:peers")["status"] == "pass")


def test_a_daemon_without_a_certificate_waits_for_it_and_loses_nothing(fleet: BusFleet) -> None:
    """As in a deploy that turns TLS on: services starts it, keys brings the certificate."""
    certify(fleet, "ezra", issued())
    fleet.start()
    assert fleet.health("bezalel", "tls:certificate")["status"] == "fail"
    fleet.send("ezra", "bezalel", 1)
    until(lambda: "bezalel: not delivered" in fleet.daemons["ezra"].log)
    fleet.send("bezalel", "ezra", "waits for whom to believe")
    until(lambda: "fleet's CA can't be used" in fleet.daemons["bezalel"].log)
    certify(fleet, "bezalel", issued())
    fleet.daemons["bezalel"].send(signal.SIGHUP)
    delivered(fleet, "bezalel", [1])
    delivered(fleet, "ezra", ["waits for whom to believe"])
    assert fleet.health("bezalel", "tls:certificate")["status"] == "pass"


def test_a_reload_takes_a_new_certificate_and_ends_no_connection(fleet: BusFleet) -> None:
    for name in fleet.ports:
        certify(fleet, name, issued())
    fleet.start()
    port, old = fleet.ports["ezra"], issued("127.0.0.1", wizard="old")
    context = old.client
    with context.wrap_socket(
        socket.create_connection(("127.0.0.1", port), SECONDS), server_hostname="127.0.0.1"
    ) as kept:
        ask = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        kept.sendall(ask)
        assert kept.recv(65536).startswith(b"HTTP/1.1 200")
        before = kept.getpeercert(binary_form=True)
        new = issued("127.0.0.1", wizard="renewed")
        certify(fleet, "ezra", new)
        fleet.daemons["ezra"].send(signal.SIGHUP)
        fleet.daemons["ezra"].until("READY=1")
        kept.sendall(ask)
        assert kept.recv(65536).startswith(b"HTTP/1.1 200")
        assert ssl.PEM_cert_to_DER_cert(_served(port)) != before
    # What can't be used leaves the one before in force, and says so.
    (fleet.folder / "ezra" / "keys" / TLS_PAIR_FILE).write_text("no certificate")
    fleet.daemons["ezra"].send(signal.SIGHUP)
    fleet.daemons["ezra"].until("READY=1")
    check = fleet.health("ezra", "tls:certificate")
    assert check["status"] == "warn"
    assert "the certificate before is in force" in check["output"]
    assert request("GET", f"https://127.0.0.1:{port}/health", SECONDS, tls=context).status == 200


def test_the_local_agent_needs_no_tls_and_curl_the_ca(fleet: BusFleet) -> None:
    for name in fleet.ports:
        certify(fleet, name, issued())
    fleet.start()
    assert fleet.ask("ezra", "GET", "/health")[0] == 200  # agent.sock
    ca = str(fleet.folder / "ezra" / "keys" / TLS_CA_FILE)
    url = f"https://127.0.0.1:{fleet.ports['ezra']}/health"
    done = proc.run(["curl", "-sS", "--noproxy", "*", "--cacert", ca, url], timeout_seconds=60)
    assert json.loads(done.out)["wizard"] == "ezra"


def test_a_daemon_without_tls_does_not_load_it(tmp_path: Path) -> None:
    def loaded(fleet: BusFleet, name: str) -> bool:
        maps = Path(f"/proc/{fleet.daemons[name].process.pid}/maps").read_text("utf-8")
        return "libssl" in maps or "_ssl" in maps

    with BusFleet(tmp_path) as plain:
        plain.start()
        plain.send("ezra", "bezalel", 1)
        delivered(plain, "bezalel", [1])
        assert not loaded(plain, "ezra")
        assert not loaded(plain, "bezalel")


def _served(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=SECONDS)
