"""A daemon's settings: what a release writes, what a person writes, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.errors import ConfigError
from fleet_agent.limits import TABLE, Limits
from fleet_agent.registry.schema import Handler
from fleet_agent.services.settings import (
    HookSettings,
    SoulSettings,
    from_value,
    read_file,
    read_release,
    wizard_name,
)
from fleet_agent.yamlfile.mistakes import MistakesError
from tests.daemon import Machine

EXAMPLE = Path(__file__).parents[3] / "etc/daemon.yaml"


def test_what_a_release_is_built_with_is_read(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.install(unsigned=True, limits={"inbox_messages": 500}, listen_port=8646)
    settings = read_release(str(machine.home / "current/wizards/ezra/settings.json"))
    assert (settings.fleet, settings.wizard, settings.role) == ("timmy", "ezra", "orchestrator")
    assert (settings.address, settings.port, settings.unsigned) == ("127.0.0.1", 8646, True)
    assert settings.limits["inbox_messages"] == 500
    assert settings.limits["inbox_bytes"] == Limits()["inbox_bytes"]
    assert settings.state_dir == f"{tmp_path}/var/lib/fleet-agent/ezra"
    assert settings.soul is not None
    assert len(settings.soul.seal) == 64


def test_one_name_is_enough() -> None:
    settings = from_value({"v": 1, "wizard": "ezra"}, "x")
    assert (settings.address, settings.port, settings.unsigned) == ("127.0.0.1", 8646, False)
    assert settings.state_dir == "/var/lib/fleet-agent/ezra"
    assert settings.hook is None
    assert settings.soul is None


def test_everything_can_be_said() -> None:
    value = {
        "v": 1, "wizard": "ezra", "fleet": "timmy", "role": "orchestrator", "unsigned": "allow",
        "listen": {"address": "::1", "port": 1}, "soul": {"seal": "ab", "place": None},
        "hook": {"address": "::1", "port": 2, "secret_files": ["/a", "/b"], "tag": "GO",
                 "repository": None},
        "limits": {"batch_lines": 7}, "state_dir": "/s", "run_dir": "/r", "keys_dir": "/k",
        "deploy_socket": "/d", "registry": "fleet.yaml",
    }  # fmt: skip
    settings = from_value(value, "x")
    assert settings.hook == HookSettings("::1", 2, ("/a", "/b"), "GO", None)
    assert settings.soul == SoulSettings("ab", None)
    assert settings[-5:] == ("/s", "/r", "/k", "/d", "fleet.yaml")
    assert settings.limits["batch_lines"] == 7


@pytest.mark.parametrize(
    ("changes", "where", "words"),
    [
        ({"v": 2}, "x", "version 2"),
        ({"wizard": None}, "x: wizard", "is missing"),
        ({"wizard": "../../etc"}, "x: wizard", "is no wizard's name"),
        ({"wizzard": 1}, "x: wizzard", "did you mean 'wizard'?"),
        ({"role": "king"}, "x: role", "must be orchestrator or standby or worker"),
        ({"unsigned": True}, "x: unsigned", "must be refuse or allow"),
        ({"listen": {"port": "8646"}}, "x: listen.port", "must be a port"),
        ({"listen": {"port": True}}, "x: listen.port", "must be a port"),
        ({"listen": {"prot": 1}}, "x: listen.prot", "did you mean 'port'?"),
        ({"listen": 8646}, "x: listen", "must be a mapping"),
        ({"handlers": {"requests": {}}}, "x: handlers.requests", "did you mean 'request'?"),
        ({"handlers": {"request": {}}}, "x: handlers.request", "either exec or http"),
        (
            {"handlers": {"alert": {"exec": ["/a"], "http": "http://127.0.0.1/"}}},
            "x: handlers.alert",
            "either exec or http",
        ),
        ({"handlers": {"alert": {"exec": "/a"}}}, "x: handlers.alert.exec", "list of texts"),
        ({"handlers": {"alert": {"exec": ["a"]}}}, "x: handlers.alert.exec", "no absolute path"),
        (
            {"handlers": {"alert": {"http": "http://192.0.2.1/"}}},
            "x: handlers.alert.http",
            "no URL on loopback",
        ),
        ({"limits": {"batch_line": 7}}, "x: limits.batch_line", "did you mean 'batch_lines'?"),
        ({"limits": {"batch_lines": 0}}, "x: limits.batch_lines", "between 1 and 10000"),
        ({"limits": {"deploy_forks": 7}}, "x: limits.deploy_forks", "no limit of a daemon"),
        ({"limits": [1]}, "x: limits", "must be a mapping"),
        ({"hook": {"secret_files": "/a"}}, "x: hook.secret_files", "must be a list"),
        ({"soul": {"place": "/a"}}, "x: soul.seal", "is missing"),
        ({"state_dir": ""}, "x: state_dir", "must be a text"),
        ({"state_dir": "/a\0b"}, "x: state_dir", "must be a text"),
    ],
)
def test_a_mistake_is_named_with_its_key(changes: dict[str, Any], where: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_value({"v": 1, "wizard": "ezra"} | changes, "x")
    assert caught.value.where == where
    assert words in f"{caught.value.what}; {caught.value.mend}"


def test_a_damaged_release_tells_its_first_mistake_and_how_many_more() -> None:
    with pytest.raises(ConfigError, match=r"x: rol: unknown key \(and 2 more\)"):
        from_value({"v": 1, "rol": 1, "listen": {"port": -1}}, "x")


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"v":1,"wizard":"ezra"'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"settings\.json"):
        read_release(str(path))
    with pytest.raises(ConfigError, match=r"gone\.json"):
        read_release(str(tmp_path / "gone.json"))


def test_a_person_writes_yaml(tmp_path: Path) -> None:
    path = tmp_path / "daemon.yaml"
    path.write_text("wizard: ezra\nlisten: {port: 9}\nlimits:\n  batch_lines: 7\n")
    settings = read_file(str(path))
    assert (settings.port, settings.limits["batch_lines"]) == (9, 7)


@pytest.mark.parametrize("text", ["wizard: [", "wizard: ezra\nwizard: ezra\n", "- a\n", ""])
def test_yaml_mistakes_are_named_with_their_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "daemon.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"daemon\.yaml"):
        read_file(str(path))


EVERYTHING_WRONG = """\
wizard: Ezra
rol: worker
listen:
  adress: 127.0.0.1
  port: 99999
unsigned: yes
hook: {secret_files: /a, tag: 7}
soul:
  place: /a
limits:
  batch_line: 7
  batch_lines: 0
  deploy_forks: 7
  message_hops: "16"
state_dir: ""
v: 2
"""


def test_one_run_shows_every_mistake_with_its_line_and_mend(tmp_path: Path) -> None:
    path = tmp_path / "daemon.yaml"
    path.write_text(EVERYTHING_WRONG)
    with pytest.raises(MistakesError, match="the settings have 14 mistakes") as caught:
        read_file(str(path))
    found = {(one.line, one.key): one for one in caught.value.mistakes}
    assert list(found) == [
        (1, "wizard"), (2, "rol"), (4, "listen.adress"), (5, "listen.port"), (6, "unsigned"),
        (7, "hook.secret_files"), (7, "hook.tag"), (8, "soul.seal"), (11, "limits.batch_line"),
        (12, "limits.batch_lines"), (13, "limits.deploy_forks"), (14, "limits.message_hops"),
        (15, "state_dir"), (16, "v"),
    ]  # fmt: skip
    assert all(one.file == str(path) and one.mend for one in found.values())
    assert found[2, "rol"].mend == "did you mean 'role'?"
    assert found[4, "listen.adress"].mend == "did you mean 'address'?"
    assert found[11, "limits.batch_line"].mend == "did you mean 'batch_lines'?"


def test_what_is_no_mapping_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "daemon.yaml"
    path.write_text("- wizard\n")
    with pytest.raises(MistakesError) as caught:
        read_file(str(path))
    assert len(caught.value.mistakes) == 1


def test_the_example_shows_all_settings_with_their_defaults(tmp_path: Path) -> None:
    text = EXAMPLE.read_text("utf-8")
    assert read_file(str(EXAMPLE)) == from_value({"v": 1, "wizard": "ezra"}, "x")
    # With every setting switched on it says the same, but for those without a default.
    on = re.sub(r"^( *)# (?=[a-z_]+:|  [a-z_]+:)", r"\1", text, flags=re.MULTILINE)
    path = tmp_path / "daemon.yaml"
    path.write_text(on)
    settings = read_file(str(path))
    assert settings.hook == HookSettings(
        "127.0.0.1", 9876, ("/etc/fleet-agent/hook/secret",), "PROD", None
    )
    assert settings.soul == SoulSettings("64 hex digits", "/home/ezra/SOUL.md")
    assert settings.registry == "fleet.yaml"
    plain = from_value({"v": 1, "wizard": "ezra"}, "x")
    assert settings.handlers == {
        "request": Handler(exec=("/opt/ezra/bin/answer",)),
        "alert": Handler(http="http://127.0.0.1:9000/in"),
    }
    same = settings._replace(hook=None, soul=None, handlers={}, registry=None, limits=plain.limits)
    assert same == plain
    names = [one.name for one in TABLE if one.scope == "daemon"]
    assert {name: settings.limits[name] for name in names} == {
        name: Limits()[name] for name in names
    }


@pytest.mark.parametrize("name", ["", "Ezra", "..", "a/b", "a" * 30, "1a", "a\n"])
def test_a_wizards_name_can_be_part_of_a_path(name: str) -> None:
    with pytest.raises(ConfigError):
        wizard_name(name)
    assert wizard_name("ezra-2") == "ezra-2"
