"""Decisions: only what differs is touched, and a process is judged by what it was started with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from fleet_agent.node import decide
from fleet_agent.node.decide import ToPlace
from fleet_agent.node.desired import RECOVER, placements, wishes
from fleet_agent.node.health import Answer
from fleet_agent.node.place import FILE, NOTHING, Found
from fleet_agent.node.present import Present, Record
from fleet_agent.node.units import Ref, State
from fleet_agent.registry.schema import Handler, Runtime
from fleet_agent.release.build import Hook
from fleet_agent.release.manifest import Manifest
from tests.unit.release.samples import CODE, built, source, wizard

GID = 1000
BOOTED = 1_000_000.0
STARTED = 100.0
EZRA = built().manifest
DAEMON, SOCKET = Ref("fleet-agent@ezra.service"), Ref("fleet-agent@ezra.socket")
RUNTIME = Ref("fleet-wizard@ezra.service")
NOWHERE = ToPlace((), ())


def settled(manifest: Manifest, **changes: Any) -> Present:
    """A node on which all is as ``manifest`` wants it, placed before everything was started."""
    digests = {wish.ref: wish.digest for wish in wishes(manifest)}
    present = Present(
        release=manifest.id,
        manifest=manifest,
        found={
            item.place: Found(
                FILE, item.mode, 0, GID, 1, item.sha256, "", BOOTED + STARTED - 1
            )
            for item in placements(manifest)
        },
        groups={item.group: GID for item in placements(manifest)},
        booted=BOOTED,
        states={
            ref: State(
                "loaded", "active" if ref.unit != RECOVER else "inactive", "running", "enabled",
                invocation=f"i-{ref.unit}", started=STARTED,
            )
            for ref in digests
        },
        health={
            one.name: Answer(one.name, "pass", one.input, manifest.id) for one in manifest.wizards
        },
        records={
            ref.key: Record(f"i-{ref.unit}", digest) for ref, digest in digests.items() if digest
        },
    )  # fmt: skip
    return present._replace(**changes)


def with_state(present: Present, ref: Ref, **changes: Any) -> Present:
    states = {**present.states, ref: present.states[ref]._replace(**changes)}
    return present._replace(states=states)


def names(wished: Mapping[str, object] | tuple[object, ...]) -> list[str]:
    return [str(getattr(one, "ref", one)).removeprefix("unit ") for one in wished]


def test_a_node_that_is_as_wanted_needs_nothing() -> None:
    present = settled(EZRA)
    assert decide.places(EZRA, EZRA, present) == NOWHERE
    assert decide.units(EZRA, EZRA, present, NOWHERE).nothing


@pytest.mark.parametrize(
    "found",
    [
        NOTHING,
        Found(FILE, 0o640, 0, GID, 1, "0" * 64),
        Found(FILE, 0o644, 0, GID, 1, EZRA.by_path["wizards/ezra/files/0"].sha256),
        Found(FILE, 0o640, 7, GID, 1, EZRA.by_path["wizards/ezra/files/0"].sha256),
        Found(FILE, 0o640, 0, 7, 1, EZRA.by_path["wizards/ezra/files/0"].sha256),
        Found("link", 0o777, 0, GID, target="/etc/shadow"),
    ],
)
def test_a_file_that_differs_in_anything_is_written(found: Found) -> None:
    present = settled(EZRA)
    place = "/home/ezra/config.yaml"
    present = present._replace(found={**present.found, place: found})
    assert [item.place for item in decide.places(EZRA, EZRA, present).write] == [place]


def test_what_the_old_release_placed_and_the_new_does_not_is_removed_if_it_is_there() -> None:
    without = built(source(wizard(files=(), soul=None), soul=None)).manifest
    present = settled(EZRA)
    gone = decide.places(without, EZRA, present).of_others().remove
    assert set(gone) == {"/home/ezra/config.yaml", "/home/ezra/SOUL.md"}
    present = present._replace(found={**present.found, "/home/ezra/SOUL.md": NOTHING})
    gone = decide.places(without, EZRA, present).of_others().remove
    assert gone == ("/home/ezra/config.yaml",)


def test_only_the_registry_changing_reloads_daemons_and_restarts_nothing() -> None:
    other = built(registry=b'{"x":1}').manifest
    present = settled(EZRA)
    to_run = decide.units(other, EZRA, present, decide.places(other, EZRA, present))
    assert names(to_run.reload) == [DAEMON.unit]
    assert not (to_run.daemons or to_run.runtimes or to_run.listen or to_run.rebind)


def test_in_the_phase_services_the_reload_does_not_depend_on_what_current_says_by_then() -> None:
    other = built(registry=b'{"x":1}').manifest
    present = settled(other)
    assert decide.units(other, EZRA, present, NOWHERE).nothing
    to_run = decide.units(other, EZRA, present, NOWHERE, replaced=True)
    assert names(to_run.reload) == [DAEMON.unit]


def test_new_code_restarts_the_daemon_and_only_it() -> None:
    other = built(code={**CODE, "fleet_agent/x.py": b""}).manifest
    to_run = decide.units(other, EZRA, settled(EZRA), NOWHERE)
    assert names(to_run.daemons) == [DAEMON.unit]
    assert not (to_run.runtimes or to_run.reload or to_run.rebind)


def test_a_new_soul_restarts_the_wizards_own_process() -> None:
    other = built(source(soul=b"be brave\n")).manifest
    to_run = decide.units(other, EZRA, settled(EZRA), NOWHERE)
    assert names(to_run.runtimes) == [RUNTIME.unit]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(why="no answer"),
        Answer("bezalel", "pass", EZRA.wizards[0].input, EZRA.id),
        Answer("ezra", "pass", "0" * 64, EZRA.id),
    ],
)
def test_a_daemon_that_does_not_prove_to_run_what_is_wanted_is_restarted(answer: Answer) -> None:
    present = settled(EZRA, health={"ezra": answer})
    assert names(decide.units(EZRA, EZRA, present, NOWHERE).daemons) == [DAEMON.unit]


def test_what_is_not_running_or_not_enabled_is_made_so() -> None:
    present = settled(EZRA)
    for ref in (DAEMON, SOCKET, RUNTIME):
        present = with_state(present, ref, active="inactive", file="disabled")
    to_run = decide.units(EZRA, EZRA, present._replace(health={}), NOWHERE)
    assert names(to_run.enable) == [SOCKET.unit, DAEMON.unit, RUNTIME.unit]
    assert names(to_run.listen) == [SOCKET.unit]
    assert names(to_run.daemons) == [DAEMON.unit]
    assert names(to_run.runtimes) == [RUNTIME.unit]


def test_a_process_that_somebody_else_started_later_than_its_inputs_were_placed_is_left() -> None:
    present = with_state(settled(EZRA), RUNTIME, invocation="another")
    assert decide.units(EZRA, EZRA, present, NOWHERE).nothing


def test_a_process_that_is_older_than_its_inputs_is_restarted_when_nobody_wrote_down_more() -> None:
    present = with_state(settled(EZRA), RUNTIME, invocation="another", started=STARTED - 50)
    assert names(decide.units(EZRA, EZRA, present, NOWHERE).runtimes) == [RUNTIME.unit]


def test_what_is_written_down_of_the_very_start_counts_more_than_times() -> None:
    present = with_state(settled(EZRA), RUNTIME, started=STARTED - 50)
    assert decide.units(EZRA, EZRA, present, NOWHERE).nothing
    records = {**present.records, RUNTIME.key: Record(f"i-{RUNTIME.unit}", "0" * 64)}
    to_run = decide.units(EZRA, EZRA, present._replace(records=records), NOWHERE)
    assert names(to_run.runtimes) == [RUNTIME.unit]


def test_a_new_address_binds_the_socket_anew_and_restarts_its_daemon() -> None:
    moved = built(source(wizard(port=9000))).manifest
    present = settled(EZRA)
    to_run = decide.units(moved, EZRA, present, decide.places(moved, EZRA, present))
    assert names(to_run.vacate) == [DAEMON.unit]
    assert names(to_run.rebind) == [SOCKET.unit]
    assert names(to_run.daemons) == [DAEMON.unit]
    assert to_run.reread


def test_a_socket_that_is_new_under_a_running_daemon_has_daemon_and_sockets_make_way() -> None:
    with_hook = built(source(hook=Hook("192.0.2.10", 9876, "PROD", None))).manifest
    present = settled(EZRA)
    states = {**present.states, Ref("fleet-hook@ezra.socket"): State()}
    present = present._replace(states=states)
    to_run = decide.units(with_hook, EZRA, present, decide.places(with_hook, EZRA, present))
    assert names(to_run.vacate) == [DAEMON.unit]
    assert names(to_run.rebind) == [SOCKET.unit]
    assert names(to_run.listen) == ["fleet-hook@ezra.socket"]
    assert names(to_run.daemons) == [DAEMON.unit]


def test_a_soul_that_was_placed_again_is_looked_at_by_a_new_start_of_the_daemon() -> None:
    present = settled(EZRA)
    soul = present.found["/home/ezra/SOUL.md"]._replace(changed=BOOTED + STARTED + 1)
    present = present._replace(found={**present.found, "/home/ezra/SOUL.md": soul})
    assert names(decide.units(EZRA, EZRA, present, NOWHERE).daemons) == [DAEMON.unit]


def test_a_wizard_that_left_the_node_is_stopped_with_its_sockets_and_process() -> None:
    both = built(source(), source(wizard("bezalel", 8647))).manifest
    present = settled(both)
    to_run = decide.units(EZRA, both, present, decide.places(EZRA, both, present))
    assert set(names(to_run.stop)) == {
        "fleet-agent@bezalel.socket", "fleet-agent@bezalel.service", "fleet-wizard@bezalel.service"
    }  # fmt: skip
    assert names(to_run.daemons) == []


def test_a_unit_of_theirs_is_restarted_but_never_enabled_or_stopped() -> None:
    theirs = built(source(wizard(runtime=Runtime(unit="hermes.service")))).manifest
    present = settled(theirs)
    hermes = Ref("hermes.service")
    present = with_state(present, hermes, active="inactive", file="disabled")
    to_run = decide.units(theirs, theirs, present, NOWHERE)
    assert names(to_run.runtimes) == ["hermes.service"]
    assert names(to_run.enable) == []
    without = built(source(wizard(runtime=None))).manifest
    assert "hermes.service" not in names(decide.units(without, theirs, present, NOWHERE).stop)


def test_a_unit_in_a_users_scope_is_asked_for_as_that_user() -> None:
    own = built(source(wizard(runtime=Runtime(unit="hermes.service", scope="user")))).manifest
    refs = [wish.ref for wish in wishes(own)]
    assert Ref("hermes.service", "ezra") in refs


def test_the_pipeline_is_started_where_it_does_not_run_and_never_restarted() -> None:
    hook = Hook("192.0.2.10", 9876, "PROD", None)
    before = built(source(hook=hook)).manifest
    after = built(source(hook=hook), code={**CODE, "fleet_agent/x.py": b""}).manifest
    to_run = decide.units(after, before, settled(before), NOWHERE)
    assert names(to_run.conductors) == []
    stopped = with_state(settled(before), Ref("fleet-deploy.service"), active="inactive")
    to_run = decide.units(before, before, stopped, NOWHERE)
    assert names(to_run.conductors) == ["fleet-deploy.service"]


RUNNER, RUNNER_SOCKET = Ref("fleet-exec@ezra.service"), Ref("fleet-exec@ezra.socket")
ANSWERING = built(source(wizard(handlers={"request": Handler(exec=("/opt/answer",))}))).manifest


def answering(said: str | None = None) -> Present:
    """A node whose runner was started by a message."""
    runner = ANSWERING.wizards[0].runner
    assert runner is not None
    text = f"input {runner.input}" if said is None else said
    return with_state(settled(ANSWERING), RUNNER, said=text)


def units(present: Present) -> decide.ToRun:
    return decide.units(ANSWERING, ANSWERING, present, decide.places(ANSWERING, ANSWERING, present))


def test_a_runner_of_this_release_is_left_alone_and_so_is_one_that_nobody_needed_yet() -> None:
    assert units(answering()).nothing
    assert units(with_state(answering(), RUNNER, active="inactive")).nothing


def test_a_runner_of_another_release_is_ended_and_started_by_nobody_but_its_socket() -> None:
    for said in ("", "input " + "0" * 64):
        to_run = units(answering(said))
        assert names(to_run.vacate) == [RUNNER.unit]
        assert to_run._replace(vacate=()).nothing


def test_a_runner_whose_unit_is_placed_anew_is_ended() -> None:
    present = answering()
    place = "/etc/systemd/system/fleet-exec@ezra.service.d/user.conf"
    present = present._replace(found={**present.found, place: NOTHING})
    to_run = units(present)
    assert names(to_run.vacate) == [RUNNER.unit]
    assert not (to_run.daemons or to_run.rebind or to_run.listen)


def test_a_runners_socket_is_bound_without_its_daemon_being_restarted() -> None:
    to_run = units(with_state(answering(), RUNNER_SOCKET, active="inactive"))
    assert names(to_run.listen) == [RUNNER_SOCKET.unit]
    assert not (to_run.daemons or to_run.vacate)
    present = answering()
    wrong = Record(f"i-{RUNNER_SOCKET.unit}", "another")
    present = present._replace(records={**present.records, RUNNER_SOCKET.key: wrong})
    to_run = units(present)
    assert names(to_run.rebind) == [RUNNER_SOCKET.unit]
    assert names(to_run.vacate) == [RUNNER.unit]
    assert not to_run.daemons


def test_a_runner_that_is_no_longer_wanted_goes_with_its_socket() -> None:
    present = answering()
    to_run = decide.units(EZRA, ANSWERING, present, decide.places(EZRA, ANSWERING, present))
    assert {RUNNER.unit, RUNNER_SOCKET.unit} <= set(names(to_run.stop))
