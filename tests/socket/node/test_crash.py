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


JOURNALS = {
    "cut off": '{"v":1,"state":"armed","dep',
    "empty": "",
    "of nuls": "\0" * 600,
    "a list": "[]",
    "nested": "[" * 100_000,
    "of other keys": '{"v":1,"state":"armed"}',
    "of another version": '{"v":2}',
}


@pytest.mark.parametrize("text", JOURNALS.values(), ids=JOURNALS)
def test_a_damaged_journal_is_named_by_whoever_needs_it_and_nothing_is_touched(
    world: World, text: str
) -> None:
    before = world.state()
    path = world.root / "var/lib/fleet-agent/node/journal.json"
    good = path.read_text()
    number = next(numbers)
    run = Run(world, number, world.release(f"model: {number}\n"))
    path.write_text(text)
    try:
        for mode in ("forward", "back"):
            result = run.phase("preflight", mode)
            assert not result["ok"]
            assert "journal.json" in result["error"]["where"], result
        for words in (("recover",), ("expire", run.nonce)):
            alone = run.alone(*words)
            assert alone.returncode == 1
            assert "journal.json" in alone.stderr
            assert "Traceback" not in alone.stderr
    finally:
        path.write_text(good)
    assert world.state() == before


@pytest.mark.parametrize("text", ["{}", "[]", '{"manifest":null,"places":[1]}', ""])
def test_a_damaged_baseline_is_named_and_the_node_stays_as_it_is(world: World, text: str) -> None:
    number = next(numbers)
    run = Run(world, number, world.release(f"model: {number}\n"))
    for phase in ("preflight", "baseline", "soul", "deploy"):
        assert run.phase(phase)["ok"]
    path = world.root / f"var/lib/fleet-agent/node/saved/{run.nonce}/baseline.json"
    good = path.read_text()
    path.write_text(text)
    assert run.phase("preflight", "back")["ok"]
    result = run.phase("deploy", "back")
    assert not result["ok"]
    assert "baseline.json" in result["error"]["where"], result
    path.write_text(good)
    assert run.go("back")["ok"]
