"""Building: the same commit gives the same release, and each digest covers what it must."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.errors import ConfigError
from fleet_agent.registry.schema import Handler, Listen, Runtime
from fleet_agent.release.build import Built, Hook
from fleet_agent.release.manifest import WizardInputs, from_json, to_json
from tests.unit.release.samples import CODE, UNITS, built, source, wizard

LOCAL = "http://127.0.0.1:9000/in"
HOOK = Hook("192.0.2.10", 9876, "PROD", None)


def only(result: Built) -> WizardInputs:
    (found,) = result.manifest.wizards
    return found


def text(result: Built, path: str) -> str:
    return result.tree[path][1].decode()


def test_tls_stands_where_it_is_said_and_leaves_other_releases_their_names() -> None:
    plain, speaking = built(), built(source(wizard(tls=True)))
    assert "tls" not in text(plain, "wizards/ezra/settings.json")
    assert "tls" not in json.dumps(to_json(plain.manifest))
    assert json.loads(text(speaking, "wizards/ezra/settings.json"))["tls"] is True
    assert only(speaking).tls
    assert from_json(to_json(speaking.manifest)) == speaking.manifest
    assert only(speaking).input != only(plain).input  # so the daemon is restarted


def test_the_same_sources_give_the_same_release_in_whatever_order() -> None:
    backwards = dict(reversed(list(CODE.items())))
    assert built(code=backwards).id == built().id
    assert built(code=backwards).manifest == built().manifest


def test_settings_have_exactly_the_shape_that_the_daemon_reads() -> None:
    result = built(source(hook=HOOK))
    settings = json.loads(text(result, "wizards/ezra/settings.json"))
    assert settings == {
        "v": 1,
        "fleet": "timmy",
        "wizard": "ezra",
        "role": "worker",
        "listen": {"address": "192.0.2.10", "port": 8646},
        "hook": {
            "address": "192.0.2.10",
            "port": 9876,
            "secret_files": ["/etc/fleet-agent/hook/secret"],
            "tag": "PROD",
            "repository": None,
        },
        "unsigned": "refuse",
        "soul": {
            "seal": result.manifest.by_path["wizards/ezra/soul"].sha256,
            "place": "/home/ezra/SOUL.md",
        },
        "limits": {},
        "state_dir": "/var/lib/fleet-agent/ezra",
        "run_dir": "/run/fleet-agent/ezra",
        "keys_dir": "/etc/fleet-agent/ezra/keys",
        "deploy_socket": "/run/fleet-agent/deploy.sock",
    }


def test_only_the_registry_changing_leaves_every_input_as_it_was() -> None:
    before, after = built(), built(registry=b'{"x":1}')
    assert before.id != after.id
    assert only(before).input == only(after).input
    assert only(before).runtime_input == only(after).runtime_input


def test_a_file_or_a_soul_changes_the_wizards_own_input_and_not_the_daemons_code() -> None:
    before = only(built())
    for changed in (built(source(config=b"model: other\n")),):
        assert only(changed).runtime_input != before.runtime_input
        assert only(changed).input == before.input
    assert only(built(source(soul=b"be brave\n"))).runtime_input != before.runtime_input


def test_code_settings_and_units_change_the_daemons_input_and_not_the_wizards_own() -> None:
    before = only(built())
    listening = source(wizard(listen=Listen("192.0.2.10", 9000)))
    for changed in (
        built(code={**CODE, "fleet_agent/x.py": b""}),
        built(units={**UNITS, "fleet-agent@.service": b"[Unit]\n"}),
        built(listening),
    ):
        assert only(changed).input != before.input
        assert only(changed).runtime_input == before.runtime_input


def test_the_hooks_unit_counts_for_the_wizard_that_has_the_hook_only() -> None:
    other = {**UNITS, "fleet-hook@.socket": b"[Unit]\n"}
    assert only(built(units=other)).input == only(built()).input
    with_hook = source(hook=HOOK)
    assert only(built(with_hook, units=other)).input != only(built(with_hook)).input


def test_a_template_of_ours_does_not_count_for_a_unit_of_theirs() -> None:
    theirs = source(wizard(runtime=Runtime(unit="hermes.service")))
    second = source(wizard("bezalel", 8647))
    other = {**UNITS, "fleet-wizard@.service": b"[Unit]\n"}
    before, after = built(theirs, second), built(theirs, second, units=other)
    inputs = {one.name: one.runtime_input for one in before.manifest.wizards}
    changed = {one.name for one in after.manifest.wizards if one.runtime_input != inputs[one.name]}
    assert changed == {"bezalel"}


def test_one_wizards_change_leaves_the_others_on_the_node_alone() -> None:
    second = source(wizard("bezalel", 8647))
    before = built(source(), second)
    after = built(source(config=b"other\n"), second)
    by_name = {one.name: one for one in before.manifest.wizards}
    for one in after.manifest.wizards:
        same = one.runtime_input == by_name[one.name].runtime_input
        assert same is (one.name == "bezalel")
        assert one.input == by_name[one.name].input


def test_two_wizards_of_one_port_share_loopback_by_order() -> None:
    first = source(wizard(listen=Listen("192.0.2.10", 8646)))
    second = source(wizard("bezalel", listen=Listen("192.0.2.11", 8646)))
    result = built(first, second)
    assert "127.0.0.1:8646" in text(result, "units/fleet-agent@ezra.socket.d/listen.conf")
    assert "127.0.0.1" not in text(result, "units/fleet-agent@bezalel.socket.d/listen.conf")


def test_ipv6_is_written_in_brackets_and_loopback_not_twice() -> None:
    sixth = built(source(wizard(listen=Listen("2001:db8::1", 8646))))
    conf = text(sixth, "units/fleet-agent@ezra.socket.d/listen.conf")
    assert "ListenStream=[2001:db8::1]:8646\n" in conf
    local = built(source(wizard(listen=Listen("127.0.0.1", 8646))))
    conf = text(local, "units/fleet-agent@ezra.socket.d/listen.conf")
    assert conf.count("127.0.0.1:8646") == 1


def test_a_name_is_no_address_to_listen_on() -> None:
    with pytest.raises(ConfigError) as refused:
        built(source(wizard(listen=Listen("ezra.example", 8646))))
    assert refused.value.where == "wizards.ezra.listen"
    assert "listen" in refused.value.mend


def test_an_orchestrator_gets_the_pipelines_units_and_others_do_not() -> None:
    assert "units/fleet-deploy.service" in built(source(hook=HOOK)).tree
    assert built(source(hook=HOOK)).manifest.orchestrator
    assert "units/fleet-deploy.service" not in built().tree
    assert "units/fleet-wizard@.service" not in built(source(wizard(runtime=None))).tree


def test_below_another_root_our_own_directories_move_and_places_do_not() -> None:
    unit = b"[Service]\nExecStart=/usr/bin/python3 /opt/fleet-agent/current/code\n"
    result = built(units={**UNITS, "fleet-agent@.service": unit}, root="/tmp/n1")
    assert "/tmp/n1/opt/fleet-agent/current/code" in text(result, "units/fleet-agent@.service")
    settings = json.loads(text(result, "wizards/ezra/settings.json"))
    assert settings["state_dir"] == "/tmp/n1/var/lib/fleet-agent/ezra"
    assert only(result).files[0].place == "/home/ezra/config.yaml"


def test_a_missing_unit_source_is_named() -> None:
    units = {name: content for name, content in UNITS.items() if name != "fleet-recover.service"}
    with pytest.raises(ConfigError) as refused:
        built(units=units)
    assert refused.value.where == "fleet-recover.service"


def test_the_entry_point_puts_the_release_itself_on_the_path_not_the_link(tmp_path: Path) -> None:
    release = tmp_path / "releases" / "a"
    for path, (_, content) in built().tree.items():
        (release / path).parent.mkdir(parents=True, exist_ok=True)
        (release / path).write_bytes(content)
    (release / "code/fleet_agent/cli/main.py").write_text(
        "import sys\n\ndef entry():\n    print(sys.path[0])\n"
    )
    (tmp_path / "current").symlink_to(release)
    argv = [sys.executable, "-I", "-S", str(tmp_path / "current/code")]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    assert said == os.path.join(os.path.realpath(release), "code")


def test_a_wizard_with_programs_for_handlers_gets_a_runner_of_its_own_account() -> None:
    handlers = {"request": Handler(exec=("/opt/answer", "-q")), "alert": Handler(http=LOCAL)}
    release = built(source(wizard(user="hermes", handlers=handlers)))
    (one,) = release.manifest.wizards
    assert one.runner is not None
    assert one.runner[:2] == ("fleet-exec@ezra.service", "fleet-exec@ezra.socket")
    assert release.tree["units/fleet-exec@ezra.service.d/user.conf"][1] == (
        b"[Service]\nUser=hermes\n"
    )
    assert {"units/fleet-exec@.service", "units/fleet-exec@.socket"} <= set(release.tree)
    settings = json.loads(release.tree["wizards/ezra/settings.json"][1])
    assert settings["handlers"] == {
        "request": {"exec": ["/opt/answer", "-q"]}, "alert": {"http": LOCAL},
    }  # fmt: skip
    assert from_json(to_json(release.manifest)) == release.manifest


def test_without_a_program_there_is_no_runner_and_the_manifest_is_as_it_always_was() -> None:
    for handlers in ({}, {"alert": Handler(http=LOCAL)}):
        release = built(source(wizard(handlers=handlers)))
        assert release.manifest.wizards[0].runner is None
        assert "runner" not in to_json(release.manifest)["wizards"]["ezra"]["units"]
        assert not [path for path in release.tree if "fleet-exec" in path]


def test_the_runner_is_made_of_code_settings_and_its_own_units_alone() -> None:
    def inputs(**changes: Any) -> tuple[str, str]:
        handlers = {"request": Handler(exec=("/opt/answer",))}
        release = built(source(wizard(handlers=handlers)), **changes)
        (one,) = release.manifest.wizards
        assert one.runner is not None
        return one.input, one.runner.input

    daemon, runner = inputs()
    assert daemon != runner
    changed = {**UNITS, "fleet-exec@.service": b"[Unit]\n"}
    assert inputs(units=changed)[0] == daemon
    assert inputs(units=changed)[1] != runner
    changed = {**UNITS, "fleet-agent@.service": b"[Unit]\n"}
    assert inputs(units=changed)[1] == runner
    code = {**CODE, "fleet_agent/x.py": b""}
    assert inputs(code=code)[1] != runner
