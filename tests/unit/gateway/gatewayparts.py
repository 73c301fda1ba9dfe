"""Requests and a Serving for the gateway's unit tests."""

from __future__ import annotations

import json
from hashlib import sha256

from fleet_agent.bus.keyring import NO_KEYS, Keyring, PairKey
from fleet_agent.gateway.serving import Serving
from fleet_agent.httpd.types import Headers, Peer, Request
from fleet_agent.registry.parse import parse
from fleet_agent.signing import sign

FLEET = """
wizards:
  ezra:    {host: 192.0.2.10, role: orchestrator, capabilities: [ansible-deploy]}
  bezalel: {host: 192.0.2.11, capabilities: [code-review]}
  allegro: {host: "2001:db8::12", capabilities: [code-review]}
"""
UNIX = Peer("unix", "", 0, uid=1000, pid=7)
LOOPBACK = Peer("tcp", "127.0.0.1", 40000)
ELSEWHERE = Peer("tcp", "192.0.2.99", 40000)


LOCAL_TOKEN = "the-agents-own-token"
PEOPLES_TOKEN = "alexanders-token"
KEY, OLD_KEY = bytes(range(32)), bytes(range(32, 64))
KEYS = Keyring(
    {"bezalel": (PairKey(2, KEY), PairKey(1, OLD_KEY)), "allegro": (PairKey(2, b"a" * 32),)},
    {sha256(PEOPLES_TOKEN.encode()).hexdigest(): "alexander"},
    LOCAL_TOKEN,
)


def serving(*, unsigned: bool = False, keyring: Keyring = NO_KEYS) -> Serving:
    """The gateway of ezra."""
    return Serving("ezra", "timmy", parse(FLEET), b'{"v":1}', unsigned=unsigned, keyring=keyring)


def signed(
    body: bytes, *, key: bytes = KEY, sender: str = "bezalel", at: int = 2, id_: str = "msg-1"
) -> tuple[tuple[str, str], ...]:
    """The headers with which a peer sends ``body``."""
    return (
        ("webhook-id", id_),
        ("webhook-timestamp", str(at)),
        ("webhook-signature", sign(key, id_, at, body)),
        ("fleet-from", sender),
    )


def request(
    path: str,
    body: bytes | object = b"",
    *,
    peer: Peer = LOOPBACK,
    headers: tuple[tuple[str, str], ...] = (),
    query: tuple[tuple[str, str], ...] = (),
) -> Request:
    """A request as the HTTP core hands it over."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = dict(headers)
    named.setdefault("Host", "localhost:8646")
    return Request("POST" if raw else "GET", path, path, query, Headers(named.items()), raw, peer,
                   "gateway", {})  # fmt: skip
