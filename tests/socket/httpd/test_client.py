"""The small client against real servers: ours, and some that misbehave."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleet_agent import proc
from fleet_agent.errors import ConfigError
from fleet_agent.httpd import client
from fleet_agent.httpd.handshake import BadCertificate
from fleet_agent.httpd.listen import listen_tcp
from tests.socket.httpd.running import Running

Serve = Callable[[socket.socket], None]


@contextmanager
def odd_server(serve: Serve, address: str = "127.0.0.1") -> Iterator[str]:
    """A server that does ``serve`` with its first connection; the URL of it."""
    with listen_tcp(address, 0) as listening:

        def run() -> None:
            connected, _ = listening.accept()
            with connected:
                connected.settimeout(10)
                try:
                    serve(connected)
                except OSError:
                    return

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"http://{'[::1]' if ':' in address else address}:{listening.getsockname()[1]}/x"
        thread.join(10)


def saying(answer: bytes) -> Serve:
    def serve(connected: socket.socket) -> None:
        connected.recv(65536)
        connected.sendall(answer)

    return serve


def url(running: Running, path: str = "/health") -> str:
    return f"http://127.0.0.1:{running.place[1]}{path}"


def test_a_get_brings_status_headers_and_body() -> None:
    with Running() as running:
        answer = client.get(url(running), 10)
    assert (answer.status, answer.body) == (200, b'{"status":"pass"}')
    assert answer.headers.get("Content-Type") == "application/json"


def test_a_post_brings_its_body_and_header_fields() -> None:
    with Running() as running:
        answer = client.request(
            "POST", url(running, "/echo?a=1"), 10, body=b"x" * 300_000, headers=[("X-Y", "z")]
        )
    value = json.loads(answer.body)
    assert (value["query"], len(value["body"])) == ([["a", "1"]], 300_000)


def test_a_name_is_resolved() -> None:
    with Running() as running:
        assert client.get(url(running).replace("127.0.0.1", "localhost"), 10).status == 200


def test_an_ipv6_address_is_asked() -> None:
    with odd_server(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), "::1") as place:
        assert client.get(place, 10).body == b"hi"


def test_a_unix_socket_is_asked(tmp_path: Path) -> None:
    path = str(tmp_path / "agent.sock")
    with Running(unix=path) as running:
        assert running.thread.is_alive()
        value = json.loads(client.get("http://local/echo", 10, unix_path=path).body)
    assert value["kind"] == "unix"


def test_head_and_204_have_no_body() -> None:
    with Running() as running:
        head = client.request("HEAD", url(running), 10)
        options = client.request("OPTIONS", url(running), 10)
    assert (head.status, head.headers.get("content-length"), head.body) == (200, "17", b"")
    assert (options.status, options.body) == (204, b"")


def test_the_answer_to_a_body_that_is_too_large_is_read() -> None:
    with Running(limits={"http_body_bytes": 1024}) as running:
        for _ in range(10):
            answer = client.request("POST", url(running, "/echo"), 10, body=b"x" * 3_000_000)
            assert answer.status == 413


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            b"hello",
        ),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", b"x"),
        (b"HTTP/1.1 503 Not now\r\nContent-Length: 2\r\n\r\nno and more", b"no"),
    ],
)
def test_every_framing_of_an_answer_is_understood(answer: bytes, body: bytes) -> None:
    with odd_server(saying(answer)) as place:
        assert client.get(place, 10).body == body


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2_000_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n",
    ],
)
def test_what_is_no_answer_or_too_large_a_one_is_told_apart(answer: bytes) -> None:
    with odd_server(saying(answer)) as place, pytest.raises(client.BadAnswer):
        client.get(place, 10)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
    ],
)
def test_an_answer_that_ends_early_is_none_and_worth_another_try(answer: bytes) -> None:
    with odd_server(saying(answer)) as place, pytest.raises(client.NoAnswer) as raised:
        client.get(place, 10)
    assert raised.value.retryable
    assert place in str(raised.value)


def test_nobody_listening_is_said_with_the_place() -> None:
    with listen_tcp("127.0.0.1", 0) as listening:
        place = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    with pytest.raises(client.NoAnswer, match="refused"):
        client.get(place, 10)


def test_an_answer_that_trickles_ends_at_the_deadline_of_the_whole_exchange() -> None:
    stop = threading.Event()

    def trickle(connected: socket.socket) -> None:
        connected.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not stop.wait(0.02):
            connected.sendall(b"y")

    with odd_server(trickle) as place:
        began = time.monotonic()
        with pytest.raises(client.NoAnswer, match=r"within 0\.3 s"):
            client.get(place, 0.3)
        assert time.monotonic() - began >= 0.3
        stop.set()


def test_a_server_that_accepts_and_says_nothing_ends_at_the_deadline() -> None:
    with listen_tcp("127.0.0.1", 0) as listening:
        place = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        with pytest.raises(client.NoAnswer, match="within"):
            client.get(place, 0.2)


def test_a_name_that_does_not_exist_is_no_answer() -> None:
    with pytest.raises(client.NoAnswer):
        client.get("http://no-such-host.invalid/", 5)


@pytest.mark.parametrize("field", [("X", "a\r\nY: b"), ("X Y", "a"), ("X", "caf\xe9"), ("", "a")])
def test_a_header_field_that_cannot_be_sent_is_refused(field: tuple[str, str]) -> None:
    with pytest.raises(ConfigError):
        client.get("http://127.0.0.1:1/", 1, headers=[field])


def test_tls_is_spoken_and_the_certificate_checked(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    proc.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=x",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            str(key),
            "-out",
            str(certificate),
        ],
        timeout_seconds=60,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve(connected: socket.socket) -> None:
        with context.wrap_socket(connected, server_side=True) as inside:
            saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")(inside)

    trusting = ssl.create_default_context(cafile=str(certificate))
    with odd_server(serve) as place:
        assert client.get(place.replace("http:", "https:"), 10, tls=trusting).body == b"hi"
    with odd_server(serve) as place, pytest.raises(BadCertificate, match="signed by itself"):
        client.get(place.replace("http:", "https:"), 10)


def test_the_client_understands_everything_that_the_server_says() -> None:
    with Running() as running:
        for method, path, status in (("GET", "/nothing", 404), ("PUT", "/health", 405)):
            answer = client.request(method, url(running, path), 10)
            assert (answer.status, json.loads(answer.body)["status"]) == (status, status)
