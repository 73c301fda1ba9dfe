"""What a daemon has of TLS: where it speaks it, with which certificate, and whom it believes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from fleet_agent.errors import FleetError
from fleet_agent.httpd.dial import read_url
from fleet_agent.services.secure import Tls
from fleet_agent.services.settings import from_value
from fleet_agent.wire import TLS_CA_FILE, TLS_PAIR_FILE
from tests.authority import issued

PEER = read_url("https://192.0.2.11:8646/health")


def tls(folder: Path, *, on: bool = True, address: str = "192.0.2.10") -> Tls:
    value = {"v": 1, "wizard": "ezra", "tls": on, "listen": {"address": address}}
    return Tls(from_value({**value, "keys_dir": str(folder)}, "x"))


@pytest.mark.parametrize(
    ("address", "bound", "speaks"),
    [
        ("192.0.2.10", "127.0.0.1", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.2", "127.0.0.1", False),
        ("127.0.0.2", "127.0.0.2", True),
        ("0.0.0.0", "0.0.0.0", True),
        ("::1", "127.0.0.1", False),
    ],
)
def test_it_is_spoken_at_the_listen_address_and_nowhere_else(
    tmp_path: Path, address: str, bound: str, speaks: bool
) -> None:
    with socket.create_server((bound, 0)) as listening:
        assert tls(tmp_path, address=address).speaks(listening) is speaks
        assert not tls(tmp_path, on=False, address=address).speaks(listening)
    with socket.socket(socket.AF_UNIX) as agent:
        assert not tls(tmp_path, address=address).speaks(agent)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no certificate yet"),
        ("", "holds no certificate that can be read"),
        (issued().authorities, "can't be used"),  # no key
        (issued().pair.replace("PRIVATE KEY", "PUBLIC KEY"), "can't be used"),
        (issued().pair.split("-----END PRIVATE KEY-----\n")[0] + issued(of="two").pair, "can't be"),
    ],
)
def test_what_can_t_be_used_is_said_and_what_was_stays_in_force(
    tmp_path: Path, content: str | None, words: str
) -> None:
    place = tmp_path / TLS_PAIR_FILE
    if content is not None:
        place.write_text(content)
    found = tls(tmp_path)
    assert words in found.failure
    assert found.own is None
    assert found.server().feed(b"\x16") == b""  # and a TLS alert goes out
    place.write_text(issued().pair)
    found.reload()
    assert (found.failure, found.own is not None) == ("", True)
    before = found.own
    if content is None:
        place.unlink()
    else:
        place.write_text(content)
    found.reload()
    assert found.failure
    assert found.own == before


def test_without_tls_nothing_is_read(tmp_path: Path) -> None:
    (tmp_path / TLS_PAIR_FILE).write_text("broken")
    found = tls(tmp_path, on=False)
    assert (found.failure, found.own) == ("", None)


def test_a_daemon_of_the_fleet_is_believed_by_the_fleets_ca_and_a_proxy_by_public_ones(
    tmp_path: Path,
) -> None:
    found = tls(tmp_path, on=False)
    with pytest.raises(FleetError, match="CA can't be used: No such file") as caught:
        found.client(PEER, ours=True)
    assert caught.value.where == os.path.join(tmp_path, TLS_CA_FILE)
    assert found.client(PEER, ours=False).feed(b"") == b""
    (tmp_path / TLS_CA_FILE).write_text("no certificate")
    with pytest.raises(FleetError, match="CA can't be used"):
        found.client(PEER, ours=True)
    (tmp_path / TLS_CA_FILE).write_text(issued().authorities)
    assert found.client(PEER, ours=True).feed(b"") == b""
