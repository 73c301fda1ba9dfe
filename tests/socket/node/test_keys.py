"""Phase keys on a node in a folder: placed where changed, taken into use, never taken back."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.release.manifest import SecretEntry
from tests.node_world import Run, World, a_node, parcel

KEYS = "etc/fleet-agent/ezra/keys"
PLACE = "/home/ezra/.hermes/api-key"
DAEMON, AGENT = "fleet-agent@ezra.service", "fleet-wizard@ezra.service"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_node(tmp_path_factory.mktemp("keys")) as found:
        yield found


numbers = iter(range(1, 10_000))


def deploy(
    world: World, *, keys: Any, config: str = "a\n", secrets: tuple[SecretEntry, ...] = (),
    **how: Any,
) -> tuple[Run, dict[str, Any]]:  # fmt: skip
    """Run all phases, and return what phase keys said."""
    run = Run(world, next(numbers), world.release(config, secrets=secrets), keys=keys, **how)
    said: dict[str, Any] = {}
    for phase in ("preflight", "baseline", "soul", "deploy", "services", "keys", "verify", "audit"):
        result = run.phase(phase)
        assert result["ok"], result
        said = result if phase == "keys" else said
    if not run.check:
        assert run.confirm()["ok"]
    return run, said


def files(world: World) -> dict[str, tuple[str, bytes]]:
    return {
        path.name: (f"{stat.S_IMODE(path.stat().st_mode):04o}", path.read_bytes())
        for path in (world.root / KEYS).iterdir()
    }


def health(world: World) -> dict[str, Any]:
    from fleet_agent.node.health import ask

    answer = ask(str(world.root / "run/fleet-agent/ezra/agent.sock"))
    assert answer.body is not None, answer.why
    return dict(answer.body["checks"]["bus:keys"][0]["observedValue"])


def test_the_first_keys_are_placed_and_a_second_run_does_nothing(world: World) -> None:
    _, said = deploy(world, keys=parcel())
    assert said["changed"]
    placed = files(world)
    assert {name: mode for name, (mode, _) in placed.items()} == {
        "pairs.json": "0600", "tokens.json": "0600", "token": "0640",
    }  # fmt: skip
    assert health(world)["epochs"] == [1]
    before = world.pid(DAEMON)
    _, again = deploy(world, keys=parcel())
    assert not again["changed"]
    assert again["diff"] == [] and "did" in again["evidence"] and again["evidence"]["did"] == {}
    assert files(world) == placed
    assert world.pid(DAEMON) == before


def test_a_rotation_is_read_without_a_restart(world: World) -> None:
    deploy(world, keys=parcel())
    before, token = world.pid(DAEMON), files(world)["token"]
    _, said = deploy(world, keys=parcel(epochs=(2, 1)))
    assert said["evidence"]["did"]["reloaded"] == [DAEMON]
    assert health(world)["epochs"] == [2, 1]
    assert world.pid(DAEMON) == before
    assert files(world)["token"] == token, "the agent's own token is nobody else's matter"


def test_a_check_says_ids_and_writes_nothing(world: World) -> None:
    deploy(world, keys=parcel())
    before = files(world)
    _, said = deploy(world, keys=parcel(epochs=(2, 1)), check=True)
    assert said["changed"]
    (shown,) = said["diff"]
    assert shown["path"] == f"/{KEYS}/pairs.json"
    assert shown["text"].startswith("+bezalel 2:") and len(shown["text"].splitlines()) == 1
    assert files(world) == before and health(world)["epochs"] == [1]


@pytest.mark.parametrize("damage", ["chmod", "remove", "write"])
def test_what_was_changed_by_hand_is_put_right(world: World, damage: str) -> None:
    deploy(world, keys=parcel())
    before, path = files(world), world.root / KEYS / "pairs.json"
    if damage == "chmod":
        path.chmod(0o644)
    elif damage == "remove":
        path.unlink()
    else:
        path.write_text("{}")
    deploy(world, keys=parcel())
    assert files(world) == before


def test_keys_cut_short_before_the_reload_are_taken_into_use_by_the_next_run(
    world: World,
) -> None:
    deploy(world, keys=parcel())
    run = Run(
        world, next(numbers), world.release("a\n"), keys=parcel(epochs=(3, 2)),
        kill_at="keys-placed",
    )  # fmt: skip
    assert run.go() == {}, "the step was never come to"
    assert health(world)["epochs"] == [1]
    _, said = deploy(world, keys=parcel(epochs=(3, 2)))
    assert said["evidence"]["did"] == {"reloaded": [DAEMON]}
    assert health(world)["epochs"] == [3, 2]


def test_a_way_back_restores_no_key(world: World) -> None:
    deploy(world, keys=parcel())
    run = Run(world, next(numbers), world.release("back\n"), keys=parcel(epochs=(4, 3)))
    assert run.go()["ok"]
    assert run.go("back")["ok"]
    assert health(world)["epochs"] == [4, 3]
    _, said = deploy(world, keys=parcel(epochs=(4, 3)))
    assert not said["changed"]


def test_an_agent_starts_with_its_secret_and_again_when_it_changes(world: World) -> None:
    first, second = (SecretEntry(PLACE, 0o600, digit * 32) for digit in "ab")
    path = world.root / PLACE.lstrip("/")
    deploy(world, keys=parcel())
    without = world.pid(AGENT)
    _, said = deploy(world, keys=parcel(secrets={PLACE: b"one"}), secrets=(first,))
    assert said["evidence"]["did"]["restarted"] == [AGENT]
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"one", 0o600)
    with_first = world.pid(AGENT)
    _, said = deploy(world, keys=parcel(secrets={PLACE: b"one"}), secrets=(first,))
    assert not said["changed"] and world.pid(AGENT) == with_first != without
    daemon = world.pid(DAEMON)
    _, said = deploy(world, keys=parcel(secrets={PLACE: b"two"}), secrets=(second,))
    assert said["diff"] == [
        {"path": PLACE, "text": f"the secret changes: keyed digest {'b' * 32}\n"}
    ]
    assert path.read_bytes() == b"two"
    assert world.pid(AGENT) != with_first and world.pid(DAEMON) == daemon
    assert "two" not in json.dumps(said)
    # No longer declared: gone with the deploy after the next, since a way back may need it.
    deploy(world, keys=parcel())
    assert path.exists()
    deploy(world, keys=parcel())
    assert not path.exists()


def test_config_and_secret_that_change_together_restart_the_agent_once(world: World) -> None:
    entry = SecretEntry(PLACE, 0o600, "c" * 32)
    deploy(world, keys=parcel(), config="before\n")
    run = Run(
        world, next(numbers), world.release("together\n", secrets=(entry,)),
        keys=parcel(secrets={PLACE: b"s"}),
    )  # fmt: skip
    before = world.pid(AGENT)
    for phase in ("preflight", "baseline", "soul", "deploy", "services"):
        assert run.phase(phase)["ok"]
    assert world.pid(AGENT) == before, "its secret is not there yet"
    assert run.phase("keys")["ok"]
    after = world.pid(AGENT)
    assert after != before
    for phase in ("verify", "audit"):
        assert run.phase(phase)["ok"]
    assert run.confirm()["ok"]
    assert world.pid(AGENT) == after


def test_a_parcel_that_is_cut_off_is_not_understood(world: World) -> None:
    run = Run(world, next(numbers), world.release("a\n"), keys={"v": 1, "wizards": {}})
    said = run.phase("keys")
    assert not said["ok"] and said["error"]["where"] == "parcel"


def test_a_trap_in_the_agent_s_home_is_not_stepped_into(world: World, tmp_path: Path) -> None:
    entry = SecretEntry("/home/ezra/trap/key", 0o600, "d" * 32)
    victim = tmp_path / "victim"
    victim.mkdir()
    trap = world.root / "home/ezra/trap"
    trap.mkdir()
    (trap / "key").symlink_to(victim / "file")
    deploy(world, keys=parcel(secrets={entry.place: b"s"}), secrets=(entry,))
    assert list(victim.iterdir()) == []
    assert not (trap / "key").is_symlink() and (trap / "key").read_bytes() == b"s"
