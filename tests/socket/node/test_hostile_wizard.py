"""A wizard in a thief's hands, on the node that carries it: it can spoil its own, and no more."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.node_world import WIZARD, Run, World, a_node

HOME = f"home/{WIZARD}"
CONFIG, SOUL = f"{HOME}/.hermes/config.yaml", f"{HOME}/.hermes/SOUL.md"
ASIDE = ".fleet-agent.aside."


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_node(tmp_path) as found:
        # Like a home that is somebody else's: what lies in it is nobody's word.
        (found.root / HOME).chmod(0o777)
        run = Run(found, 1, found.release("model: a\n"))
        assert run.go()["ok"]
        assert run.confirm()["ok"]
        (found.root / HOME / ".hermes").chmod(0o777)
        yield found


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def a_directory(world: World) -> None:
    remove(world.root / CONFIG)
    (world.root / CONFIG / "full/of/files").mkdir(parents=True)


def a_pipe(world: World) -> None:
    remove(world.root / SOUL)
    os.mkfifo(world.root / SOUL)


def a_file_without_end(world: World) -> None:
    remove(world.root / SOUL)
    with open(world.root / SOUL, "wb") as made:
        made.truncate(1 << 42)


def a_link_elsewhere(world: World) -> None:
    (world.root / "etc/others").mkdir()
    (world.root / HOME / ".hermes").rename(world.root / HOME / "moved")
    (world.root / HOME / ".hermes").symlink_to("/etc/others")


def a_file_on_the_way(world: World) -> None:
    remove(world.root / HOME / ".hermes")
    (world.root / HOME / ".hermes").write_text("no directory")


SPOIL = (a_directory, a_pipe, a_file_without_end, a_link_elsewhere, a_file_on_the_way)


def seen(world: World) -> dict[str, str]:
    """What is there, but for what was moved aside or away."""
    return {
        name: what
        for name, what in world.state().items()
        if ASIDE not in name and not name.startswith(f"{HOME}/moved")
    }


@pytest.mark.parametrize("spoil", SPOIL, ids=lambda one: one.__name__)
def test_what_a_wizard_spoils_in_mid_deploy_is_put_back(
    world: World, spoil: Callable[[World], None]
) -> None:
    before = seen(world)
    run = Run(world, 2, world.release("model: b\n", soul="be kinder\n"))
    for phase in ("preflight", "baseline", "soul", "deploy", "services"):
        assert run.phase(phase)["ok"]
    spoil(world)
    result = run.go("back")
    assert result["ok"], json.dumps(result, indent=1)
    assert seen(world) == before
    assert world.journal()["state"] == "reverted"
    assert not os.listdir(world.root / "etc/others") if spoil is a_link_elsewhere else True


@pytest.mark.parametrize("spoil", (a_pipe, a_file_on_the_way), ids=lambda one: one.__name__)
def test_what_the_deploy_was_not_to_change_is_put_back_too(
    world: World, spoil: Callable[[World], None]
) -> None:
    before = seen(world)
    run = Run(world, 2, world.release("model: b\n"))
    for phase in ("preflight", "baseline", "soul", "deploy"):
        assert run.phase(phase)["ok"]
    spoil(world)
    result = run.go("back")
    assert result["ok"], json.dumps(result, indent=1)
    assert seen(world) == before


@pytest.mark.parametrize("spoil", SPOIL, ids=lambda one: one.__name__)
def test_a_node_that_goes_back_by_itself_is_not_held_up_either(
    world: World, spoil: Callable[[World], None]
) -> None:
    before = seen(world)
    limits = {"deploy_confirm_seconds": 5.0}
    run = Run(world, 2, world.release("model: b\n", soul="be kinder\n"), limits=limits)
    for phase in ("preflight", "baseline", "soul", "deploy", "services"):
        assert run.phase(phase)["ok"]
    spoil(world)
    alone = run.alone("expire", run.nonce)
    assert world.journal()["state"] == "reverted", alone.stderr
    assert seen(world) == before


def test_a_way_that_cannot_be_made_anew_keeps_no_unit_from_coming_back(world: World) -> None:
    before = world.state()
    run = Run(world, 2, world.release("model: b\n", more="another daemon"))
    for phase in ("preflight", "baseline", "soul", "deploy", "services"):
        assert run.phase(phase)["ok"]
    copies = list((world.root / "var/lib/fleet-agent/node/saved" / run.nonce / "files").iterdir())
    for copy in copies:  # nothing to put back the places from, as on a disk that lost it
        copy.unlink()
    told = {phase: run.phase(phase, "back") for phase in ("preflight", "deploy", "services")}
    assert all(result["ok"] for result in told.values()), told
    assert any("could not be put back" in note for note in told["deploy"]["notes"])
    last = run.phase("verify", "back")
    assert not last["ok"]
    assert "not as it was" in last["error"]["what"]
    after = world.state()
    for unit in (f"fleet-agent@{WIZARD}.service", f"fleet-agent@{WIZARD}.socket"):
        assert after[unit] == before[unit]
    assert after["opt/fleet-agent/current"] == before["opt/fleet-agent/current"]
