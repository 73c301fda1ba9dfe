"""Looking at wizards that speak TLS: whom to believe, and what is never believed."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleet_agent.client import Client
from fleet_agent.errors import ConfigError, CouldNotLook
from fleet_agent.httpd import believe
from fleet_agent.httpd.answer import json_response
from fleet_agent.httpd.handshake import BadCertificate
from fleet_agent.httpd.router import Route
from fleet_agent.httpd.types import Request, Response
from fleet_agent.limits import Limits
from fleet_agent.observe import trust
from fleet_agent.observe.sight import WizardSight
from fleet_agent.observe.snapshot import look
from fleet_agent.registry import parse
from fleet_agent.registry.schema import Registry
from fleet_agent.wire import Health
from tests.authority import Issued, issued
from tests.socket.httpd.running import Running

LIMITS = Limits({"status_seconds": 20})
SHELL = ["sh", "-c"]
ONE, TWO = issued(), issued(of="two")
SAYS = {"status": "pass", "serviceId": "ezra", "wizard": "ezra", "fleet": "fleet"}


def health(request: Request) -> Response:
    return json_response(200, SAYS)


@contextmanager
def ezra(server: Issued | None = ONE) -> Iterator[int]:
    """The port of a daemon that has this certificate, or speaks plain HTTP."""
    tls = None if server is None else (server.server, server.client)
    with Running((Route("GET", "/health", health),), tls=tls) as running:
        yield int(running.place[1])


def fleet(port: int) -> Registry:
    return parse.parse(
        f"tls: true\nwizards: {{ezra: {{host: 127.0.0.1, role: orchestrator, "
        f"listen: {{port: {port}}}}}}}\n"
    )


def seen(port: int, authorities: trust.Authorities) -> WizardSight:
    (wizard,) = look(fleet(port), lambda _: SHELL, LIMITS, authorities=authorities).wizards
    return wizard


def test_a_wizard_with_the_fleets_certificate_is_well() -> None:
    with ezra() as port:
        sight = seen(port, lambda: ONE.authorities)
    assert (sight.health.status, sight.health.via) == (Health.PASS, "http")


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (TWO, "its certificate is not from a CA that is believed here"),
        (issued("192.0.2.77"), "its certificate is for another address"),
        (issued("127.0.0.1", age_days=40, days=30), "its certificate has expired"),
        (None, "no TLS is spoken there"),
    ],
    ids=["another CA", "another address", "expired", "plain"],
)
def test_what_is_not_believed_is_a_failure_whatever_ssh_would_say(
    server: Issued | None, words: str
) -> None:
    with ezra(server) as port:
        sight = seen(port, lambda: ONE.authorities)
    assert (sight.health.status, sight.health.via) == (Health.FAIL, "http")
    assert words in sight.health.why


def test_who_does_not_know_the_ca_asks_on_the_node_and_says_so() -> None:
    def unknown() -> str:
        raise CouldNotLook("no way")

    with ezra() as port:
        sight = seen(port, unknown)  # loopback speaks TLS here: the node is asked over it
    assert (sight.health.status, sight.health.via) == (Health.PASS, "ssh")


def test_the_ca_is_read_from_the_orchestrators_node(tmp_path: Path) -> None:
    wizard = fleet(1).orchestrator
    place = tmp_path / "tls-ca.pem"
    place.write_text(ONE.authorities)
    shell = ["sh", "-c", f'case "$0" in *etc/fleet-agent/ezra/keys/*) cat {place};; esac']
    assert trust.from_node(shell, wizard, 60) == ONE.authorities
    with pytest.raises(CouldNotLook, match=r"etc/fleet-agent/ezra/keys/tls-ca\.pem"):
        trust.from_node(["false"], wizard, 60)


def test_agents_and_people_speak_https_with_the_ca_that_they_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "ca.pem"
    place.write_text(ONE.authorities)
    with ezra() as port:
        url = f"https://127.0.0.1:{port}"
        assert Client(url=url, ca=str(place)).wizard == "ezra"
        with pytest.raises(BadCertificate):
            _ = Client(url=url).wizard
        monkeypatch.setenv(believe.CA_VARIABLE, str(place))
        assert Client(url=url).wizard == "ezra"
    place.write_text("nothing")
    with pytest.raises(ConfigError, match="holds no certificate of a CA"):
        Client(url="https://127.0.0.1:1")
    with pytest.raises(ConfigError, match="cannot be read"):
        Client(url="https://127.0.0.1:1", ca=str(tmp_path / "gone"))


def test_on_a_node_its_own_fleet_is_believed(tmp_path: Path) -> None:
    (tmp_path / "tls-ca.pem").write_text(ONE.authorities)
    context = believe.usual(None, on_a_node=str(tmp_path / "*.pem"))
    with ezra() as port:
        line = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
        line.request("GET", "/health")
        assert line.getresponse().status == 200
        line.close()
