"""SIGKILL at every named step, then the next boot or the way back: always one known release."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from fleet_agent.node import steps
from tests.node_world import Run, World, a_node

# From the opened journal on a boot has something to finish.
OPENED = steps.FORWARD[steps.FORWARD.index(steps.JOURNAL_OPENED) :]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_node(tmp_path_factory.mktemp("crash")) as found:
        run = Run(found, 1, found.release("model: a\n"))
        assert run.go()["ok"]
        assert run.confirm()["ok"]
        yield found


numbers = iter(range(2, 10_000))


@pytest.mark.parametrize("step", steps.FORWARD)
def test_killed_at_a_step_the_way_back_restores_what_was(world: World, step: str) -> None:
    before = world.state()
    number = next(numbers)
    run = Run(world, number, world.release(f"model: {number}\n", more=str(number)), kill_at=step)
    assert run.go() == {}, "the step was never come to"
    run.kill_at = ""
    result = run.go("back")
    assert result["ok"], json.dumps(result, indent=1)
    assert world.state() == before


@pytest.mark.parametrize("step", OPENED)
def test_killed_at_a_step_the_next_boot_restores_what_was(world: World, step: str) -> None:
    before = world.state()
    number = next(numbers)
    run = Run(world, number, world.release(f"model: {number}\n", more=str(number)), kill_at=step)
    assert run.go() == {}, "the step was never come to"
    run.kill_at = ""
    world.power_cut()
    done = run.alone("recover")
    assert done.returncode == 0, done.stderr
    assert world.journal()["state"] == "reverted"
    result = run.go("back")
    assert result["ok"], json.dumps(result, indent=1)
    assert world.state() == before


@pytest.mark.parametrize("step", steps.BACK)
def test_killed_on_the_way_back_it_is_gone_again(world: World, step: str) -> None:
    before = world.state()
    number = next(numbers)
    run = Run(world, number, world.release(f"model: {number}\n", more=str(number)))
    assert run.go()["ok"]
    run.kill_at = step
    assert run.go("back") == {}, "the step was never come to"
    run.kill_at = ""
    result = run.go("back")
    assert result["ok"], json.dumps(result, indent=1)
    assert world.state() == before
