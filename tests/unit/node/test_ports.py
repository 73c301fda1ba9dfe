"""Who holds a port: the kernel's own tables, for real sockets."""

from __future__ import annotations

import os
import socket

import pytest

from fleet_agent.errors import NodeError
from fleet_agent.node import ports
from fleet_agent.registry.schema import Listen
from fleet_agent.release.build import Hook
from fleet_agent.release.manifest import from_json, to_json
from fleet_agent.wire import HOOK_PORT
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
    assert refused.value.where == f"127.0.0.1:{port}, where ezra is to listen"


def test_a_port_that_our_own_socket_holds_is_ours() -> None:
    with listening("127.0.0.1") as held:
        port = held.getsockname()[1]
        wanted = built(source(wizard(listen=Listen("127.0.0.1", port)))).manifest
        ports.check(wanted, settled(wanted))


@pytest.mark.parametrize(
    ("taken", "address"),
    [
        ("0.0.0.0", "192.0.2.1"),
        ("127.0.0.1", "0.0.0.0"),
        ("127.0.0.1", "::"),
        # Every gateway listens on loopback, too, for the agents of its own machine.
        ("127.0.0.1", "192.0.2.1"),
        ("127.0.0.1", "2001:db8::1"),
    ],
)
def test_a_socket_that_stands_in_the_way_of_ours_is_refused(taken: str, address: str) -> None:
    with listening(taken) as held:
        port = held.getsockname()[1]
        wanted = built(source(wizard(listen=Listen(address, port)))).manifest
        with pytest.raises(NodeError, match=f"port {port} is held by"):
            ports.check(wanted, settled(wanted)._replace(release=None, manifest=None))


def test_the_hooks_port_is_the_one_that_the_registry_says() -> None:
    with listening("127.0.0.1") as held, listening("127.0.0.1") as other:
        taken, free = held.getsockname()[1], other.getsockname()[1]
        other.close()
        entry = wizard(listen=Listen("127.0.0.1", free))
        wanted = built(source(entry, hook=Hook("127.0.0.1", taken, "PROD", None))).manifest
        with pytest.raises(NodeError) as refused:
            ports.check(wanted, settled(wanted)._replace(release=None, manifest=None))
    assert f"port {taken} is held by" in refused.value.what
    assert "hook_port" in refused.value.mend


def test_the_hooks_port_stands_in_the_manifest() -> None:
    manifest = built(source(hook=Hook("127.0.0.1", 19876, "PROD", None))).manifest
    assert manifest.wizards[0].hook == 19876
    assert from_json(to_json(manifest)) == manifest


def test_a_manifest_of_before_hooks_had_a_port_has_the_usual_one() -> None:
    value = to_json(built(source(hook=Hook("127.0.0.1", 9876, "PROD", None))).manifest)
    value["wizards"]["ezra"]["hook"] = True
    assert from_json(value).wizards[0].hook == HOOK_PORT
    value["wizards"]["ezra"]["hook"] = False
    assert from_json(value).wizards[0].hook == 0


def test_another_address_of_the_same_port_is_free() -> None:
    with listening("127.0.0.2") as held:
        port = held.getsockname()[1]
        wanted = built(source(wizard(listen=Listen("127.0.0.1", port)))).manifest
        ports.check(wanted, settled(wanted)._replace(release=None, manifest=None))
