"""The server over TLS at a real socket: what goes right, and what strangers do."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Iterator

import pytest

from fleet_agent import proc
from fleet_agent.httpd import client
from fleet_agent.httpd.handshake import BadCertificate, NoTls
from fleet_agent.httpd.router import Route
from tests.authority import issued
from tests.socket.httpd.corpus import unescape
from tests.socket.httpd.running import PATIENCE_SECONDS, USUAL, Peer, Running, Waiting
from tests.socket.httpd.test_corpus import OWN_CASES, Case

ONE = issued()
QUICK = {"http_header_seconds": 0.3, "http_linger_seconds": 0.3}


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(tls=(ONE.server, ONE.client)) as made:
        yield made


def raw(running: Running) -> Peer:
    """A connection without TLS."""
    connected = socket.create_connection(running.place, PATIENCE_SECONDS)
    return Peer(connected)


def url(running: Running, path: str = "/health") -> str:
    return f"https://127.0.0.1:{running.place[1]}{path}"


@pytest.mark.parametrize("case", OWN_CASES, ids=lambda case: case.path.stem)
def test_a_request_of_the_corpus_means_the_same_over_tls(running: Running, case: Case) -> None:
    data = unescape(case.path.read_bytes())
    assert tuple(answer.status for answer in running.say(data)) == case.statuses, case.about


def test_requests_are_pipelined_and_answered_in_their_order(running: Running) -> None:
    with running.connect() as peer:
        peer.send(b"".join(b"GET /echo?%d HTTP/1.1\r\nHost: a\r\n\r\n" % one for one in range(300)))
        for one in range(300):
            assert f'[["{one}",""]]'.encode() in peer.got().body


def test_big_bodies_go_both_ways(running: Running) -> None:
    body = b"x" * 900_000
    answer = client.request("POST", url(running, "/echo"), 60, body=body, body_limit=1 << 22,
                            tls=ONE.client)  # fmt: skip
    assert answer.status == 200
    assert answer.body.count(b"x") >= len(body)


def test_a_slow_reader_gets_all_of_a_big_answer() -> None:
    with Running(tls=(ONE.server, ONE.client), limits={"http_unsent_bytes": 4096}) as running:
        with running.connect() as peer:
            peer.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 800000\r\n\r\n" * 3)
            for _ in range(3):
                peer.send(b"y" * 800_000)
        with running.connect() as peer:
            request = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n"
            peer.send((request + b"y" * 300_000) * 2)
            running.until(lambda: running.server.counts.requests >= 1)
            assert [len(peer.got().body) > 300_000 for _ in range(2)] == [True, True]


def test_curl_believes_it_with_the_fleets_ca_and_not_without(
    running: Running, tmp_path: object
) -> None:
    bundle = ONE.file.replace("tls.pem", "ca.pem")
    with open(bundle, "w", encoding="ascii") as file:
        file.write(ONE.authorities)
    ask = ["curl", "-sS", "--noproxy", "*", url(running)]
    right = proc.run([*ask, "--cacert", bundle], timeout_seconds=60)
    assert right.out == b'{"status":"pass"}'
    wrong = proc.run(ask, timeout_seconds=60, check=False)
    assert wrong.code == 60


def test_a_deferred_answer_comes_over_tls() -> None:
    waiting = Waiting()
    routes = (*USUAL, Route("POST", "/wait", waiting))
    with Running(routes, tls=(ONE.server, ONE.client)) as running, running.connect() as peer:
        peer.send(b"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        running.until(lambda: len(waiting.asked) == 1)
        running.on_loop(lambda: waiting.resolve(0))
        assert peer.got().status == 202


def test_the_end_is_said_in_tls_so_that_a_cut_is_known_from_an_end(running: Running) -> None:
    connected = ONE.client.wrap_socket(
        socket.create_connection(running.place, PATIENCE_SECONDS),
        server_hostname="127.0.0.1", suppress_ragged_eofs=False,
    )  # fmt: skip
    with connected:
        connected.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        data = b""
        while part := connected.recv(65536):  # raises SSLEOFError without close_notify
            data += part
    assert data.endswith(b'{"status":"pass"}')


def test_plain_http_is_told_to_speak_tls_and_noted_once(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    before = running.on_loop(lambda: running.server.counts.unsecured)
    with caplog.at_level(logging.WARNING, "fleet_agent.httpd"):
        for _ in range(5):
            with raw(running) as peer:
                peer.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
                answer = peer.got()
                assert answer.status == 400
                assert b"this port speaks TLS" in answer.body
                assert b"https://" in answer.body
                assert peer.rest() == []
    assert running.on_loop(lambda: running.server.counts.unsecured) == before + 5
    assert len([one for one in caplog.records if "has no TLS" in one.message]) <= 1


@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 100,
        b"\x16\x03\x01" + b"\xff" * 1000,
        b"\x16\x03\x01\x00\x02\x01\x00",
        b"\x80\x2e\x01\x03\x01",  # a hello of SSL 2
        b"\x15\x03\x01\x00\x02\x02\x28",  # an alert before anything
        b"\x17\x03\x03\x00\x05hello",  # data before anything
    ],
)
def test_hostile_bytes_end_their_own_connection_only(running: Running, data: bytes) -> None:
    with raw(running) as peer:
        peer.send(data)
        peer.end()
        while peer.socket.recv(65536):
            pass
    assert running.get().status == 200


def test_a_handshake_that_does_not_go_on_is_ended_by_the_header_deadline() -> None:
    hello = _hello()
    with Running(tls=(ONE.server, ONE.client), limits=QUICK) as running:
        peers = [raw(running) for _ in range(6)]
        for peer, data in zip(
            peers, [b"", b"\x16", hello[:5], hello[:100], hello, hello], strict=True
        ):
            peer.send(data)
        for peer in peers:
            while peer.socket.recv(65536):  # what the server said of its handshake
                pass
            peer.socket.close()
        running.until(lambda: running.server.counts.open == 0)
        assert running.server.counts.timed_out == 6


def test_a_connection_that_only_shakes_hands_is_ended_too() -> None:
    with Running(tls=(ONE.server, ONE.client), limits=QUICK) as running:
        with running.connect() as peer:
            assert peer.closed()
        assert running.on_loop(lambda: running.server.counts.timed_out) == 1


def test_a_record_in_slow_pieces_is_put_together(running: Running) -> None:
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    end = ONE.client.wrap_bio(inside, outside, server_hostname="127.0.0.1")
    with raw(running) as peer:

        def pump() -> None:
            for byte in outside.read():
                peer.send(bytes((byte,)))

        while True:
            try:
                end.do_handshake()
                break
            except ssl.SSLWantReadError:
                pump()
                inside.write(peer.socket.recv(65536))
        end.write(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        pump()
        inside.write(peer.socket.recv(65536))
        assert end.read(100).startswith(b"HTTP/1.1 200")


def test_a_new_certificate_counts_for_new_connections_and_ends_no_old_one() -> None:
    other = issued("127.0.0.1", of="two")
    with Running(tls=(ONE.server, ONE.client)) as running, running.connect() as old:
        old.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert old.got().status == 200
        running.tls = (other.server, other.client)
        assert running.get().status == 200  # trusts the other CA alone
        old.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert old.got().status == 200


def test_a_drain_lets_a_request_under_way_end_over_tls() -> None:
    waiting = Waiting()
    with Running((Route("GET", "/wait", waiting),), tls=(ONE.server, ONE.client)) as running:
        with running.connect() as peer:
            peer.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
            running.until(lambda: len(waiting.asked) == 1)
            running.on_loop(lambda: running.server.drain(20))
            running.on_loop(lambda: waiting.resolve(0))
            assert peer.got().status == 202
            assert peer.rest() == []
        running.ended()


def test_the_client_tells_what_is_wrong(running: Running) -> None:
    with pytest.raises(BadCertificate, match="not from a CA that is believed here") as caught:
        client.get(url(running), 20, tls=issued(of="two").client)
    assert "fleet-agent tls ca" in caught.value.mend
    with Running() as plain, pytest.raises(NoTls, match="no TLS is spoken there"):
        client.get(url(plain), 20, tls=ONE.client)
    with Running(tls=(None, ONE.client)) as early, pytest.raises(NoTls, match="alert"):
        client.get(url(early), 20, tls=ONE.client)


def test_one_connection_too_many_is_closed_without_a_handshake() -> None:
    limits = {"http_connections_per_peer": 1.0}
    with Running(tls=(ONE.server, ONE.client), limits=limits) as running, running.connect() as kept:
        kept.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert kept.got().status == 200
        with raw(running) as extra:
            assert extra.closed()


def _hello() -> bytes:
    outside = ssl.MemoryBIO()
    end = ONE.client.wrap_bio(ssl.MemoryBIO(), outside, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        end.do_handshake()
    return outside.read()
