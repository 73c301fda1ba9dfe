"""Who counts as of this machine, and what everybody else is told."""

from __future__ import annotations

import json

import pytest

from fleet_agent.gateway.callers import is_local, refuse_stranger
from fleet_agent.httpd.types import Peer
from tests.unit.gateway.gatewayparts import ELSEWHERE, LOOPBACK, UNIX, request, serving


@pytest.mark.parametrize(
    "peer", [UNIX, LOOPBACK, Peer("tcp", "127.3.4.5", 1), Peer("tcp", "::1", 1)]
)
def test_the_unix_socket_and_loopback_are_local(peer: Peer) -> None:
    assert is_local(request("/registry", peer=peer))


@pytest.mark.parametrize("address", ["192.0.2.99", "10.0.0.1", "fe80::1", "::", "1.127.0.0"])
def test_every_other_address_is_elsewhere(address: str) -> None:
    assert not is_local(request("/registry", peer=Peer("tcp", address, 1)))


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8646", "127.0.0.1:8646", "[::1]:8646", ""]
)
def test_loopback_by_its_own_names_is_local(host: str) -> None:
    assert is_local(request("/registry", headers=(("Host", host),)))


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:8646", "[::1].evil:1"])
def test_a_name_rebound_to_loopback_is_not_local(host: str) -> None:
    assert not is_local(request("/registry", headers=(("Host", host),)))


@pytest.mark.parametrize("peer", [UNIX, LOOPBACK])
def test_a_web_page_in_a_browser_of_this_machine_is_not_local(peer: Peer) -> None:
    asked = request("/message", b"{}", peer=peer, headers=(("Origin", "http://evil.example"),))
    assert not is_local(asked)


def test_a_stranger_is_refused_and_told_how_to_come_in() -> None:
    refused = refuse_stranger(request("/message", peer=ELSEWHERE), serving())
    assert refused is not None
    assert refused.status == 401
    assert ("WWW-Authenticate", 'Bearer realm="fleet-agent"') in refused.headers
    assert "keys come with phase keys" in json.loads(refused.body)["mend"]


def test_unsigned_allow_lets_everybody_in() -> None:
    assert refuse_stranger(request("/message", peer=ELSEWHERE), serving(unsigned=True)) is None
