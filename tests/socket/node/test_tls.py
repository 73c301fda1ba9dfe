"""TLS turned on and off by deploys of one node in a folder, with a real daemon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fleet_agent.errors import FleetError
from fleet_agent.httpd import client
from tests.authority import Issued, issued
from tests.node_world import Run, World, a_node, parcel

PHASES = ("preflight", "baseline", "soul", "deploy", "services", "keys", "verify", "audit")
KEYS = "etc/fleet-agent/ezra/keys"
SECONDS = 60


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_node(tmp_path_factory.mktemp("tls")) as found:
        yield found


numbers = iter(range(1, 10_000))


def brought(one: Issued, *, silent: bool = False) -> dict[str, Any]:
    tls = {"authorities": one.authorities}
    return parcel(tls=tls if silent else {**tls, "pair": one.pair})


def a_run(world: World, *, tls: bool, keys: dict[str, Any] | None = None, **how: Any) -> Run:
    return Run(world, next(numbers), world.release("a\n", tls=tls), keys=keys or parcel(), **how)


def deploy(run: Run) -> dict[str, dict[str, Any]]:
    """Run all phases until one fails; what each said."""
    said: dict[str, dict[str, Any]] = {}
    for phase in PHASES:
        said[phase] = run.phase(phase)
        if not said[phase]["ok"]:
            return said
    if not run.check:
        assert run.confirm()["ok"]
    return said


def plain(world: World) -> int:
    """What plain HTTP gets."""
    return client.get(f"http://127.0.0.1:{world.port}/health", SECONDS).status


def secured(world: World, one: Issued) -> int:
    url = f"https://127.0.0.1:{world.port}/health"
    return client.get(url, SECONDS, tls=one.client).status


def test_a_deploy_turns_tls_on_another_renews_and_the_next_turns_it_off(world: World) -> None:
    one, two = issued("127.0.0.1"), issued("127.0.0.1", of="two")
    assert deploy(a_run(world, tls=False))["audit"]["ok"]
    assert plain(world) == 200

    said = deploy(a_run(world, tls=True, keys=brought(one)))
    assert said["audit"]["ok"], said
    assert (plain(world), secured(world, one)) == (400, 200)
    assert oct((world.root / KEYS / "tls.pem").stat().st_mode)[-4:] == "0600"
    assert "PRIVATE" not in str(said)

    before = world.pid("fleet-agent@ezra.service")
    again = deploy(a_run(world, tls=True, keys=brought(one)))
    assert not again["keys"]["changed"]
    said = deploy(a_run(world, tls=True, keys=brought(two)))
    assert said["keys"]["evidence"]["did"]["reloaded"] == ["fleet-agent@ezra.service"]
    assert secured(world, two) == 200
    assert world.pid("fleet-agent@ezra.service") == before

    # Off: the files stay for a way back, one deploy longer, and are in nobody's way.
    assert deploy(a_run(world, tls=False))["audit"]["ok"]
    assert plain(world) == 200
    assert (world.root / KEYS / "tls.pem").exists()
    assert deploy(a_run(world, tls=False, keys=brought(two, silent=True)))["audit"]["ok"]
    assert deploy(a_run(world, tls=False))["audit"]["ok"]
    assert not (world.root / KEYS / "tls.pem").exists()
    assert not (world.root / KEYS / "tls-ca.pem").exists()


def test_verify_refuses_a_certificate_that_peers_would_not_believe_and_the_way_back_is_plain(
    world: World,
) -> None:
    assert deploy(a_run(world, tls=False))["audit"]["ok"]
    wrong = brought(issued("192.0.2.77"))
    run = a_run(world, tls=True, keys=wrong, limits={"deploy_ready_seconds": 2})
    said = deploy(run)
    assert list(said)[-1] == "verify"
    assert "its certificate is not good at https://127.0.0.1" in said["verify"]["error"]["what"]
    assert run.go("back")["ok"]
    assert plain(world) == 200


def test_a_check_tells_fingerprints_and_places_nothing(world: World) -> None:
    assert deploy(a_run(world, tls=False))["audit"]["ok"]
    said = deploy(a_run(world, tls=True, keys=brought(issued("127.0.0.1")), check=True))
    shown = {part["path"]: part["text"] for part in said["keys"]["diff"]}
    assert shown[f"/{KEYS}/tls.pem"].startswith("+certificate ")
    assert not any("BEGIN" in text for text in shown.values())
    with pytest.raises(FleetError):
        secured(world, issued("127.0.0.1"))
