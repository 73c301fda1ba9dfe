"""Who holds a port: the kernel's own tables, for real sockets."""

from __future__ import annotations

import os
import socket

import pytest

from fleet_agent.errors import NodeError
from fleet_agent.node import ports
from fleet_agent.registry.schema import Listen
from tests.unit.node.test_decide import settled
from tests.unit.release.samples import built, source, wizard


def listening(address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    found = socket.socket(family)
    found.bind((address, 0))
    found.listen()
    return found


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_listening_socket_is_found_by_address_port_and_holder(address: str) -> None:
    with listening(address) as held:
        port = held.getsockname()[1]
        (found,) = [one for one in ports.listeners() if one.port == port]
        assert found.address == address
        assert f"pid {os.getpid()}" in ports.holder(found.inode)


def test_a_port_that_somebody_else_holds_is_refused_by_name() -> None:
    with listening("0.0.0.0") as held:
        port = held.getsockname()[1]
        wanted = built(source(wizard(listen=Listen("127.0.0.1", port)))).manifest
        nothing = settled(wanted)._replace(release=None, manifest=None)
        with pytest.raises(NodeError) as refused:
            ports.check(wanted, nothing)
    assert f"pid {os.getpid()}" in refused.value.what
    assert "which ezra is to listen on" in refused.value.where


def test_a_port_that_our_own_socket_holds_is_ours() -> None:
    with listening("127.0.0.1") as held:
        port = held.getsockname()[1]
        wanted = built(source(wizard(listen=Listen("127.0.0.1", port)))).manifest
        ports.check(wanted, settled(wanted))


def test_another_address_of_the_same_port_is_free() -> None:
    with listening("127.0.0.1") as held:
        port = held.getsockname()[1]
        wanted = built(source(wizard(listen=Listen("127.0.0.2", port)))).manifest
        ports.check(wanted, settled(wanted)._replace(release=None, manifest=None))
