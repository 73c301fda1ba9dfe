"""By which names a wizard is reached, and so whom its certificate is for."""

from __future__ import annotations

import pytest

from fleet_agent.deploy.tlsnames import names_of, wanted
from fleet_agent.registry.parse import parse

FLEET = (
    "tls: true\nwizards: {{ezra: {{role: orchestrator, {entry}}}, "
    "plain: {{host: 192.0.2.99, tls: false}}}}"
)


@pytest.mark.parametrize(
    ("entry", "names"),
    [
        ("host: 192.0.2.10", ("192.0.2.10",)),
        ('host: "2001:db8::1"', ("2001:db8::1",)),
        ('host: "fe80::1%eth0"', ("fe80::1",)),
        ("host: e.example.org, listen: {address: 10.0.0.1}", ("e.example.org", "10.0.0.1")),
        (
            "host: 192.0.2.10, listen: {address: 10.0.0.1}, "
            "health_endpoint: 'https://gate.example.org:4443/health'",
            ("192.0.2.10", "10.0.0.1", "gate.example.org"),
        ),
        (
            "host: 192.0.2.10, listen: {address: 0.0.0.0}",
            ("192.0.2.10", "127.0.0.1", "::1", "localhost"),
        ),
        ("host: 127.0.0.1", ("127.0.0.1", "::1", "localhost")),
    ],
)
def test_every_name_and_address_is_there_once(entry: str, names: tuple[str, ...]) -> None:
    registry = parse(FLEET.format(entry=entry))
    assert names_of(registry.wizard("ezra")) == names
    assert wanted(registry) == {"ezra": names}
