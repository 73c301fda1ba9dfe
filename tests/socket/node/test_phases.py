"""The eight phases forward and back on a node that is a folder, with real processes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node_world import WIZARD, Run, World, a_node

DAEMON, RUNTIME = f"fleet-agent@{WIZARD}.service", f"fleet-wizard@{WIZARD}.service"
CONFIG = f"/home/{WIZARD}/.hermes/config.yaml"
PHASES = ("preflight", "baseline", "soul", "deploy", "services", "keys", "verify", "audit")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_node(tmp_path) as found:
        yield found


def deployed(world: World, config: str = "model: a\n", deploy: int = 1) -> Run:
    run = Run(world, deploy, world.release(config))
    result = run.go()
    assert result["ok"], json.dumps(result, indent=1)
    assert run.confirm()["ok"]
    return run


def test_a_bare_node_is_deployed_confirmed_and_left_alone_the_second_time(world: World) -> None:
    run = Run(world, 1, world.release("model: a\n"))
    result = run.go()
    assert result["ok"], json.dumps(result, indent=1)
    assert result["armed"]
    assert world.journal()["state"] == "armed"
    assert (world.root / CONFIG[1:]).read_text() == "model: a\n"
    answer = run.confirm()
    assert answer["evidence"]["found"] == "armed"
    assert world.journal()["state"] == "confirmed"
    before, daemon = world.state(), world.pid(DAEMON)
    written = (world.root / "var/lib/fleet-agent/node/journal.json").stat()
    again = Run(world, 2, run.release)
    for phase in PHASES:
        result = again.phase(phase)
        assert (result["ok"], result["changed"]) == (True, False), (phase, result)
        assert (result["touched"], result["armed"]) == (False, False)
    assert again.confirm()["evidence"]["found"] is None
    assert world.state() == before
    assert world.pid(DAEMON) == daemon
    assert (world.root / "var/lib/fleet-agent/node/journal.json").stat() == written


def test_a_change_of_configuration_restarts_the_wizard_and_not_its_daemon(world: World) -> None:
    deployed(world)
    daemon, runtime = world.pid(DAEMON), world.pid(RUNTIME)
    deployed(world, "model: b\n", 2)
    assert world.pid(DAEMON) == daemon
    assert world.pid(RUNTIME) != runtime


def test_a_change_of_code_restarts_the_daemon_and_not_the_wizard(world: World) -> None:
    deployed(world)
    daemon, runtime = world.pid(DAEMON), world.pid(RUNTIME)
    run = Run(world, 2, world.release("model: a\n", more="new"))
    assert run.go()["ok"]
    assert world.pid(DAEMON) != daemon
    assert world.pid(RUNTIME) == runtime


def test_the_way_back_restores_a_bare_node(world: World) -> None:
    before = world.state()
    run = Run(world, 1, world.release("model: a\n"))
    assert run.go()["ok"]
    result = run.go("back")
    assert result["ok"], json.dumps(result, indent=1)
    assert world.state() == before
    assert world.journal()["state"] == "reverted"


def test_the_way_back_restores_the_release_before_and_what_lay_at_the_places(world: World) -> None:
    deployed(world)
    own = world.root / CONFIG[1:]
    own.write_text("changed by hand\n")
    before, daemon = world.state(), world.pid(DAEMON)
    run = Run(world, 2, world.release("model: b\n"))
    assert run.go()["ok"]
    assert own.read_text() == "model: b\n"
    assert run.go("back")["ok"]
    assert own.read_text() == "changed by hand\n"
    assert world.state() == before
    assert world.pid(DAEMON) == daemon


def test_a_way_back_is_possible_after_the_node_confirmed_and_the_fleet_did_not(
    world: World,
) -> None:
    deployed(world)
    before = world.state()
    run = deployed(world, "model: b\n", 2)
    assert run.go("back")["ok"]
    assert world.state() == before


def test_a_way_back_where_nothing_was_touched_says_so(world: World) -> None:
    deployed(world)
    result = Run(world, 2, None).go("back")
    assert result["ok"]
    assert not result["touched"]


def test_a_daemon_that_does_not_start_is_told_by_its_own_words(world: World) -> None:
    deployed(world)
    before = world.state()
    broken = {**world.code}
    broken["fleet_agent/cli/commands/serve.py"] = b"raise SystemExit('the moon is wrong')\n"
    good, world.code = world.code, broken
    run = Run(world, 2, world.release("model: a\n"))
    world.code = good
    result = run.go()
    assert not result["ok"]
    assert result["touched"]
    assert DAEMON in result["error"]["where"]
    assert any("the moon is wrong" in line for line in result["error"]["unit_log"])
    assert run.go("back")["ok"]
    assert world.state() == before


def test_a_check_shows_the_differences_and_writes_nothing(world: World) -> None:
    deployed(world)
    before = written(world)
    run = Run(world, 2, world.release("model: b\n", soul="be brave\n", more="x"), check=True)
    shown = ""
    for phase in PHASES:
        result = run.phase(phase)
        assert result["ok"], json.dumps(result, indent=1)
        shown += "".join(part["text"] for part in result["diff"])
    assert "-model: a\n+model: b\n" in shown
    assert "-be kind\n+be brave\n" in shown
    assert "1 file changed: fleet_agent/errors.py" in shown
    assert written(world) == before


def written(world: World) -> list[tuple[str, int]]:
    """When each file of the node was written, but for what daemon and supervisor write."""
    own = ("run/", f"var/lib/fleet-agent/{WIZARD}")
    found = []
    for path in sorted(world.root.rglob("*")):
        name = str(path.relative_to(world.root))
        if name != "run" and not name.startswith(own):
            found.append((name, path.lstat().st_mtime_ns))
    return found


def test_a_node_that_hears_nothing_goes_back_by_itself_and_a_late_confirmation_is_told(
    world: World,
) -> None:
    deployed(world)
    before = world.state()
    run = Run(world, 2, world.release("model: b\n"), limits={"deploy_confirm_seconds": 5})
    assert run.go()["ok"]
    limit = time.monotonic() + 30
    while world.journal()["state"] != "reverted":
        assert time.monotonic() < limit
        time.sleep(0.1)
    assert world.state() == before
    answer = run.confirm()
    assert not answer["ok"]
    assert "reverted" in answer["error"]["what"]
    result = run.go("back")
    assert (result["ok"], result["touched"]) == (True, True)


def test_a_newer_run_puts_back_first_what_an_earlier_one_left(world: World) -> None:
    deployed(world)
    run = Run(world, 2, world.release("model: lost\n"), kill_at="places-placed")
    assert run.go() == {}
    newer = Run(world, 3, world.release("model: c\n"))
    newer.phase("preflight")
    result = newer.phase("baseline")
    assert "deploy 2 was armed here and was put back first" in result["notes"]
    assert (world.root / CONFIG[1:]).read_text() == "model: a\n"
    for phase in PHASES[2:]:
        assert newer.phase(phase)["ok"]
    assert newer.confirm()["ok"]


def test_a_file_that_somebody_changed_meanwhile_does_not_lock_the_node_for_ever(
    world: World,
) -> None:
    deployed(world)
    run = Run(world, 2, world.release("model: lost\n"), kill_at="places-placed")
    assert run.go() == {}
    unit = world.root / "etc/systemd/system/fleet-agent@.service"
    unit.write_text(unit.read_text() + "# by hand\n")
    newer = Run(world, 3, world.release("model: c\n"))
    result = newer.go()
    assert result["ok"], json.dumps(result, indent=1)
    assert newer.confirm()["ok"]
    assert "by hand" not in unit.read_text()
    assert (world.root / CONFIG[1:]).read_text() == "model: c\n"


def test_verified_releases_are_kept_and_the_rest_goes(world: World) -> None:
    for number in range(1, 6):
        run = Run(
            world, number, world.release(f"model: {number}\n"), limits={"deploy_keep_releases": 2}
        )
        assert run.go()["ok"]
        assert run.confirm()["ok"]
    names = {path.name for path in (world.root / "opt/fleet-agent/releases").iterdir()}
    verified = [
        item["release"]
        for item in world.read("/var/lib/fleet-agent/node/releases.json")["verified"]
    ]
    # The first one is still what the daemon runs from: only configuration has changed since.
    assert set(verified[-2:]) <= names
    assert len(names) == 3
    assert verified[0] in names
