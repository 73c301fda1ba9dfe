"""TLS in memory: both ends of a connection, and what happens when they don't agree."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.httpd.tls import Secured, client_context
from tests.authority import Issued, issued


def ends(server: Issued, trust: Issued, name: str = "127.0.0.1") -> tuple[Secured, Secured]:
    """A client's and a server's end."""
    return Secured(trust.client, name=name), Secured(server.server)


def talk(client: Secured, server: Secured, most: int = 1 << 20) -> tuple[bytes, bytes]:
    """Let both speak, ``most`` bytes at a time, until nothing is left; what each has heard."""
    heard = {id(client): b"", id(server): b""}
    client.feed(b"")
    while True:
        moved = False
        for one, other in ((client, server), (server, client)):
            data = one.replies()
            moved = moved or bool(data)
            for at in range(0, len(data), most):
                heard[id(other)] += other.feed(data[at : at + most])
        if not moved:
            return heard[id(client)], heard[id(server)]


def pour(data: bytes, into: Secured, most: int) -> bytes:
    """What ``into`` hears when ``data`` comes in pieces of ``most`` bytes."""
    return b"".join(into.feed(data[at : at + most]) for at in range(0, len(data), most))


@pytest.mark.parametrize("most", [1, 7, 1000, 65536])
def test_bytes_arrive_as_they_were_sent_however_the_wire_cuts_them(most: int) -> None:
    client, server = ends(issued(), issued())
    talk(client, server, most)
    assert client.open
    assert server.open
    body = bytes(range(256)) * (40 if most == 1 else 2000)
    assert pour(client.seal(body), server, most) == body
    assert pour(server.seal(body), client, most) == body


def test_nothing_is_left_inside_when_several_records_come_at_once() -> None:
    client, server = ends(issued(), issued())
    talk(client, server)
    both = client.seal(b"a" * 40_000) + client.seal(b"b")
    assert server.feed(both) == b"a" * 40_000 + b"b"


def test_the_end_is_said_and_heard_while_the_other_direction_goes_on() -> None:
    client, server = ends(issued(), issued())
    talk(client, server)
    assert server.feed(client.seal(b"last") + client.goodbye()) == b"last"
    assert server.ended
    assert not server.broken
    assert client.feed(server.seal(b"answer") + server.goodbye()) == b"answer"
    assert client.ended
    assert not client.broken


@pytest.mark.parametrize(
    ("server", "name", "words"),
    [
        (issued("192.0.2.1"), "127.0.0.1", "its certificate is for another address"),
        (issued("other.example.org"), "localhost", "its certificate is for another name"),
        (issued(of="two"), "127.0.0.1", "its certificate is not from a CA that is believed here"),
        (issued("127.0.0.1", age_days=40, days=30), "127.0.0.1", "its certificate has expired"),
        (issued("127.0.0.1", age_days=-40), "127.0.0.1", "its certificate is not valid yet"),
    ],
)
def test_a_client_believes_nobody_else_and_says_why(server: Issued, name: str, words: str) -> None:
    trust = issued() if "CA" in words else server
    client, end = ends(server, trust, name)
    talk(client, end)
    assert client.broken.startswith(words)
    assert "(" in client.broken  # the mend
    assert not client.open
    assert end.broken  # the server is told, too


def test_only_the_fleets_ca_is_believed_and_not_the_systems() -> None:
    assert {one["subject"] for one in issued().client.get_ca_certs()} == {
        ((("organizationName", "timmy"),), (("commonName", "fleet-agent CA 1"),))
    }
    assert client_context(None).get_ca_certs() != issued().client.get_ca_certs()


def test_a_request_without_tls_is_given_back_as_it_came() -> None:
    server = Secured(issued().server)
    assert server.feed(b"GET / HTTP/1.1\r\n") == b"GET / HTTP/1.1\r\n"
    assert server.plain
    assert server.replies() == b""


def test_a_server_without_a_certificate_says_so_in_tls() -> None:
    client, server = Secured(issued().client, name="127.0.0.1"), Secured(None)
    talk(client, server)
    assert server.broken == "there is no certificate yet"
    assert client.broken == "TLS: tlsv1 alert internal error"
    assert Secured(None).feed(b"GET") == b"GET"  # never served in plain: `plain` is set


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"\x16\x03\x01\xff\xff" + b"\0" * 70_000,
        b"\x16" + bytes(range(255)) * 3,
        b"\x16\x03\x03\x00\x00" * 100,
    ],
)
def test_a_hostile_handshake_ends_the_connection_and_nothing_else(hostile: bytes) -> None:
    server = Secured(issued().server)
    assert server.feed(hostile) == b""
    assert server.broken
    assert not server.open


def first_flight() -> bytes:
    """What a client begins with."""
    client = Secured(issued().client, name="127.0.0.1")
    client.feed(b"")
    return client.replies()


HELLO = first_flight()
SERVER, CLIENT = issued().server, issued().client


@given(st.binary(max_size=300), st.integers(0, len(HELLO)), st.booleans())
def test_whatever_a_stranger_says_is_refused_as_a_value(
    noise: bytes, at: int, instead: bool
) -> None:
    rest = HELLO[at + len(noise) :] if instead else b""
    server = Secured(SERVER)
    said = HELLO[:at] + noise + rest
    heard = server.feed(said)
    assert heard == (said if server.plain else b"")
    server.replies()
    assert not server.open


@given(st.binary(min_size=1, max_size=300))
def test_whatever_answers_a_client_is_refused_as_a_value(noise: bytes) -> None:
    client = Secured(CLIENT, name="127.0.0.1")
    client.feed(b"")
    assert client.feed(noise) == b""
    assert not client.open
    client.replies()


def test_a_record_that_was_changed_on_the_way_ends_the_connection() -> None:
    client, server = ends(issued(), issued())
    talk(client, server)
    first, second = client.seal(b"first"), bytearray(client.seal(b"second"))
    second[-1] ^= 1
    assert server.feed(first + bytes(second)) == b"first"
    assert server.broken


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_are_spoken(version: ssl.TLSVersion) -> None:
    context = issued().client
    context.minimum_version = context.maximum_version = version
    client, server = Secured(context, name="localhost"), Secured(issued().server)
    talk(client, server)
    assert pour(client.seal(b"x"), server, 100) == b"x"


def test_what_is_older_than_tls_1_2_is_refused() -> None:
    context = issued().client
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    client, server = Secured(context, name="localhost"), Secured(issued().server)
    talk(client, server)
    assert server.broken
    assert not server.open


def test_a_silent_connection_has_no_engine() -> None:
    context = issued().server
    # Each engine of OpenSSL holds tens of KiB; those who say nothing cost none.
    assert all(not isinstance(one._engine, ssl.SSLObject) for one in [Secured(context)] * 3)
