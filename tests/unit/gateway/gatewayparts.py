"""Requests and a Serving for the gateway's unit tests."""

from __future__ import annotations

import json

from fleet_agent.gateway.serving import Serving
from fleet_agent.httpd.types import Headers, Peer, Request
from fleet_agent.registry.parse import parse

FLEET = """
wizards:
  ezra:    {host: 192.0.2.10, role: orchestrator, capabilities: [ansible-deploy]}
  bezalel: {host: 192.0.2.11, capabilities: [code-review]}
  allegro: {host: "2001:db8::12", capabilities: [code-review]}
"""
UNIX = Peer("unix", "", 0, uid=1000, pid=7)
LOOPBACK = Peer("tcp", "127.0.0.1", 40000)
ELSEWHERE = Peer("tcp", "192.0.2.99", 40000)


def serving(*, unsigned: bool = False) -> Serving:
    """The gateway of ezra."""
    return Serving("ezra", "timmy", parse(FLEET), b'{"v":1}', unsigned=unsigned)


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
