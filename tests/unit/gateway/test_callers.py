"""Who counts as of this machine, and what everybody else is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fleet_agent.errors import RequestError
from fleet_agent.gateway.callers import (
    ANYONE,
    LOCAL,
    PEER,
    TOKEN,
    Caller,
    identify,
    is_local,
    refuse_stranger,
)
from fleet_agent.httpd.types import Peer
from tests.unit.gateway.gatewayparts import (
    ELSEWHERE,
    KEYS,
    LOCAL_TOKEN,
    LOOPBACK,
    OLD_KEY,
    PEOPLES_TOKEN,
    UNIX,
    request,
    serving,
    signed,
)


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
    for site, local in (("cross-site", False), ("same-site", False), ("none", True)):
        # A picture's GET carries no Origin.
        asked = request("/inbox", peer=peer, headers=(("Sec-Fetch-Site", site),))
        assert is_local(asked) == local


def test_a_stranger_is_refused_and_told_how_to_come_in() -> None:
    refused = refuse_stranger(request("/message", peer=ELSEWHERE), serving())
    assert refused is not None
    assert refused.status == 401
    assert ("WWW-Authenticate", 'Bearer realm="fleet-agent"') in refused.headers
    assert "fleet-agent token create" in json.loads(refused.body)["mend"]


def test_unsigned_allow_lets_everybody_in() -> None:
    assert refuse_stranger(request("/message", peer=ELSEWHERE), serving(unsigned=True)) is None


BODY = b'{"from":"bezalel"}'
BEZALEL = Caller(PEER, "bezalel")
AGENT = Caller(LOCAL, "ezra")


def who(*, unsigned: bool = False, keyring: Any = KEYS, now: float = 2, **asked: Any) -> Caller:
    """Whom the gateway of ezra takes a caller for."""
    return identify(
        request("/message", BODY, **asked), serving(unsigned=unsigned, keyring=keyring), now=now
    )


def why_not(**asked: Any) -> tuple[int, str]:
    """Status and place of a refusal."""
    with pytest.raises(RequestError) as caught:
        who(**asked)
    assert caught.value.mend
    return caught.value.http_status, caught.value.where


class TestPeers:
    @pytest.mark.parametrize("peer", [ELSEWHERE, LOOPBACK, UNIX])
    def test_a_peer_is_who_its_key_belongs_to_wherever_it_comes_from(self, peer: Any) -> None:
        assert who(peer=peer, headers=signed(BODY)) == BEZALEL

    def test_the_key_of_the_epoch_before_still_opens(self) -> None:
        assert who(peer=ELSEWHERE, headers=signed(BODY, key=OLD_KEY)) == BEZALEL

    def test_another_s_name_over_the_own_key_is_refused(self) -> None:
        headers = signed(BODY, sender="allegro")
        assert why_not(peer=ELSEWHERE, headers=headers) == (401, "webhook-signature")

    @pytest.mark.parametrize("sender", ["gideon", "", "ezra", "bezalel, allegro", "\x00"])
    def test_who_shares_no_key_is_refused(self, sender: str) -> None:
        asked = signed(BODY, sender=sender)
        assert why_not(peer=ELSEWHERE, headers=asked) == (401, "fleet-from")

    @pytest.mark.parametrize("left_out", ["webhook-id", "webhook-timestamp", "webhook-signature"])
    def test_half_a_signature_is_none(self, left_out: str) -> None:
        headers = tuple(pair for pair in signed(BODY) if pair[0] != left_out)
        assert why_not(peer=LOOPBACK, headers=headers)[0] == 401

    def test_an_old_signature_is_told_our_time(self) -> None:
        asked = request("/message", BODY, peer=ELSEWHERE, headers=signed(BODY))
        refused = refuse_stranger(asked, serving(keyring=KEYS))
        assert refused is not None
        said = json.loads(refused.body)
        assert (said["where"], said["title"]) == ("webhook-timestamp", "signature refused")
        assert said["time"] > 1_700_000_000

    def test_a_wrong_signature_is_refused_though_everybody_is_let_in(self) -> None:
        asked = signed(BODY, key=b"x" * 32)
        assert why_not(peer=ELSEWHERE, headers=asked, unsigned=True)[0] == 401

    def test_a_peer_without_keys_is_anybody_where_everybody_is_let_in(self) -> None:
        asked = signed(BODY, sender="gideon")
        assert who(peer=ELSEWHERE, headers=asked, unsigned=True) == Caller(ANYONE, None)


class TestTheLocalAgent:
    def test_it_needs_nothing_at_its_socket(self) -> None:
        assert who(peer=UNIX) == AGENT

    def test_on_loopback_it_needs_its_token(self) -> None:
        assert why_not(peer=LOOPBACK) == (401, "Authorization")
        assert who(peer=LOOPBACK, headers=(("Authorization", f"Bearer {LOCAL_TOKEN}"),)) == AGENT

    def test_before_there_are_keys_loopback_is_enough(self) -> None:
        assert who(peer=LOOPBACK, keyring=serving().keyring) == AGENT

    def test_its_token_is_worth_nothing_elsewhere(self) -> None:
        headers = (("Authorization", f"Bearer {LOCAL_TOKEN}"),)
        assert why_not(peer=ELSEWHERE, headers=headers) == (401, "Authorization")

    def test_a_web_page_at_the_socket_s_side_is_a_stranger(self) -> None:
        headers = (("Origin", "http://evil.example"),)
        assert why_not(peer=UNIX, headers=headers)[0] == 401


class TestTokens:
    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    def test_a_token_speaks_in_the_one_name_it_is_bound_to(self, scheme: str) -> None:
        headers = (("Authorization", f"{scheme} {PEOPLES_TOKEN}"),)
        assert who(peer=ELSEWHERE, headers=headers) == Caller(TOKEN, "alexander")

    @pytest.mark.parametrize(
        "said", ["", "Bearer", "Bearer ", "Bearer x", f"Basic {PEOPLES_TOKEN}", PEOPLES_TOKEN,
                 "Bearer \xff", f"Bearer {PEOPLES_TOKEN}x"],
    )  # fmt: skip
    def test_anything_else_is_refused_also_at_the_socket(self, said: str) -> None:
        for peer in (ELSEWHERE, UNIX):
            assert why_not(peer=peer, headers=(("Authorization", said),)) == (401, "Authorization")


def test_each_refusal_is_one_line_of_the_audit_log(caplog: pytest.LogCaptureFixture) -> None:
    forged = request("/message", BODY, peer=ELSEWHERE, headers=signed(BODY, sender="ez\nra"))
    assert refuse_stranger(forged, serving(keyring=KEYS)) is not None
    (record,) = caplog.records
    assert record.name == "fleet_agent.audit"
    assert record.getMessage() == (
        "ezra: refused POST /message by 192.0.2.99, who says to be 'ez\\nra': 401, fleet-from "
        "'ez\\nra' is nobody with whom ezra shares a key"
    )
