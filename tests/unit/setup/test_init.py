"""A new fleet-ops repository: real Git, made once, and left alone the second time."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
from pathlib import Path

import pytest

from fleet_agent.deploy import pin
from fleet_agent.errors import ConfigError
from fleet_agent.limits import Limits
from fleet_agent.registry.parse import load
from fleet_agent.setup.git import WorkTree
from fleet_agent.setup.init import init, renew_pin
from fleet_agent.setup.target import Target, parse_target
from fleet_agent.setup.wheel import Wheel, build

THREE = tuple(parse_target(text) for text in ("root@192.0.2.1", "adm@192.0.2.2:2222", "root@fd::3"))


@pytest.fixture(scope="module")
def wheel() -> Wheel:
    return build()


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", directory, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def another(wheel: Wheel, version: str = "9.9.9") -> Wheel:
    data = wheel.data + b"\0"
    name = f"fleet_agent-{version}-py3-none-any.whl"
    return Wheel(name, version, data, hashlib.sha256(data).hexdigest())


def test_the_repository_is_committed_whole_on_main(tmp_path: Path, wheel: Wheel) -> None:
    directory = tmp_path / "ops"
    made = init(directory, THREE, wheel)
    assert git(directory, "status", "--porcelain", "--ignored") == ""
    assert git(directory, "branch", "--show-current") == "main"
    assert git(directory, "rev-parse", "HEAD") == made.commit
    assert git(directory, "ls-files").splitlines() == sorted(made.files)


def test_it_is_small_enough_to_read_in_two_minutes(tmp_path: Path, wheel: Wheel) -> None:
    made = init(tmp_path / "ops", THREE, wheel)
    read = [path for path in made.files if not path.startswith(("vendor/", "souls/"))]
    words = sum(len((tmp_path / "ops" / path).read_text().split()) for path in read)
    assert words < 600


def test_the_registry_names_the_machines_and_the_first_is_the_orchestrator(
    tmp_path: Path, wheel: Wheel
) -> None:
    init(tmp_path / "ops", THREE, wheel)
    registry = load(str(tmp_path / "ops" / "fleet.yaml"))
    assert registry.orchestrator.name == "ezra"
    assert [wizard.name for wizard in registry.wizards] == ["ezra", "bezalel", "allegro"]
    assert [wizard.host.strip("[]") for wizard in registry.wizards] == [
        "192.0.2.1", "192.0.2.2", "fd::3",
    ]  # fmt: skip
    assert registry.wizard("bezalel").ssh.port == 2222
    for wizard in registry.wizards:
        assert (tmp_path / "ops" / wizard.soul.file).read_text().startswith(f"# {wizard.name}\n")


def test_a_name_stands_with_the_address_that_it_led_to(
    tmp_path: Path, wheel: Wheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No name that leads elsewhere than to loopback is the same on every machine: the C library's
    # answer is put in, everything else is as it is.
    answers = {
        "ezra.example.org": ["127.0.1.1", "192.0.2.7"],
        "six.example.org": ["2001:db8::7"],
    }

    def getaddrinfo(name: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", (address, port)) for address in answers[name]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    init(tmp_path / "ops", [parse_target(f"root@{name}") for name in answers], wheel)
    registry = load(str(tmp_path / "ops" / "fleet.yaml"))
    assert [(wizard.host, wizard.listen.address) for wizard in registry.wizards] == [
        ("ezra.example.org", "192.0.2.7"),
        ("six.example.org", "2001:db8::7"),
    ]


@pytest.mark.parametrize("name", ["localhost", "no-such-machine.invalid"])
def test_a_name_that_leads_to_no_machine_is_refused_before_anything_is_made(
    tmp_path: Path, wheel: Wheel, name: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        init(tmp_path / "ops", [parse_target(f"root@{name}")], wheel)
    assert caught.value.where == name
    assert "root@ADDRESS" in caught.value.mend
    assert not (tmp_path / "ops").exists()


def test_without_machines_it_is_valid_and_says_where_to_put_them(
    tmp_path: Path, wheel: Wheel
) -> None:
    init(tmp_path / "ops", (), wheel)
    assert len(load(str(tmp_path / "ops" / "fleet.yaml")).wizards) == 3
    assert "put your own machine here" in (tmp_path / "ops" / "fleet.yaml").read_text()


def test_the_pin_is_good_and_unpacks(tmp_path: Path, wheel: Wheel) -> None:
    init(tmp_path / "ops", THREE, wheel)
    the_pin = pin.read_pin(tmp_path / "ops")
    assert the_pin.sha256 == wheel.sha256
    code = pin.unpack(the_pin, tmp_path / "code", Limits())
    assert (code / "fleet_agent/share/playbooks/site.yml").is_file()


def test_the_second_run_changes_nothing(tmp_path: Path, wheel: Wheel) -> None:
    first = init(tmp_path / "ops", THREE, wheel)
    (tmp_path / "ops" / "fleet.yaml").write_text("# the operator's own\n")
    second = init(tmp_path / "ops", THREE, wheel)
    assert second.commit == ""
    assert second.notes == ()
    assert git(tmp_path / "ops", "rev-parse", "HEAD") == first.commit
    assert (tmp_path / "ops" / "fleet.yaml").read_text() == "# the operator's own\n"


def test_with_another_version_it_says_how_to_pin_it(tmp_path: Path, wheel: Wheel) -> None:
    init(tmp_path / "ops", THREE, wheel)
    again = init(tmp_path / "ops", THREE, another(wheel))
    assert again.commit == ""
    assert "init --pin" in again.notes[0]
    assert "9.9.9" in again.notes[0]


def test_a_foreign_directory_is_refused_and_left_as_it_is(tmp_path: Path, wheel: Wheel) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"letter\.txt"):
        init(tmp_path, THREE, wheel)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letter.txt"]


def test_a_foreign_repository_is_refused(tmp_path: Path, wheel: Wheel) -> None:
    git(tmp_path, "init", "--quiet")
    git(
        tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--allow-empty", "-qm", "x"
    )
    with pytest.raises(ConfigError, match="no fleet-ops repository"):
        init(tmp_path, THREE, wheel)
    assert [path.name for path in tmp_path.iterdir()] == [".git"]


def test_a_file_in_the_way_is_refused(tmp_path: Path, wheel: Wheel) -> None:
    (tmp_path / "ops").write_text("")
    with pytest.raises(ConfigError, match="is no directory"):
        init(tmp_path / "ops", THREE, wheel)


def test_a_clone_of_an_empty_repository_is_taken(tmp_path: Path, wheel: Wheel) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=trunk", "forge.git")
    git(tmp_path, "clone", "--quiet", "forge.git", "ops")
    made = init(tmp_path / "ops", THREE, wheel)
    git(tmp_path / "ops", "push", "--quiet", "origin", "main")
    assert git(tmp_path / "forge.git", "rev-parse", "main") == made.commit


def test_a_run_cut_short_is_finished_by_the_next(tmp_path: Path, wheel: Wheel) -> None:
    directory = tmp_path / "ops"
    init(directory, THREE, wheel)
    subprocess.run(["rm", "-rf", directory / ".git", directory / "README.md"], check=True)
    git(directory, "init", "--quiet")
    made = init(directory, THREE, wheel)
    assert made.commit
    assert git(directory, "status", "--porcelain") == ""


def test_inside_of_another_repository_it_makes_its_own(tmp_path: Path, wheel: Wheel) -> None:
    git(tmp_path, "init", "--quiet")
    made = init(tmp_path / "ops", THREE, wheel)
    assert git(tmp_path / "ops", "rev-list", "--count", "HEAD") == "1"
    assert made.commit
    with pytest.raises(subprocess.CalledProcessError):
        git(tmp_path, "rev-parse", "--verify", "--quiet", "HEAD")


def test_a_machine_named_twice_is_refused(tmp_path: Path, wheel: Wheel) -> None:
    with pytest.raises(ConfigError, match="named twice"):
        init(tmp_path / "ops", (Target("a"), Target("b"), Target("a", "adm")), wheel)
    assert not (tmp_path / "ops").exists()


def test_the_pin_is_renewed_with_nothing_else(tmp_path: Path, wheel: Wheel) -> None:
    directory = tmp_path / "ops"
    init(directory, THREE, wheel)
    (directory / "fleet.yaml").write_text("# not yet ready to be committed\n")
    git(directory, "add", "fleet.yaml")
    new = another(wheel)
    made = renew_pin(directory, new)
    changed = git(
        directory, "show", "--no-renames", "--name-only", "--format=", "HEAD"
    ).splitlines()
    assert set(changed) == {
        "fleet-agent.json", f"vendor/{wheel.filename}", f"vendor/{new.filename}",
    }  # fmt: skip
    assert [path.name for path in (directory / "vendor").iterdir()] == [new.filename]
    assert pin.read_pin(directory).version == "9.9.9"
    assert made.commit == git(directory, "rev-parse", "HEAD")
    assert git(directory, "status", "--porcelain") == "M  fleet.yaml"
    assert renew_pin(directory, new).commit == ""


def test_a_damaged_vendored_wheel_is_mended_by_renewing_the_pin(
    tmp_path: Path, wheel: Wheel
) -> None:
    directory = tmp_path / "ops"
    init(directory, THREE, wheel)
    path = directory / "vendor" / wheel.filename
    path.write_bytes(b"damaged")
    WorkTree(directory).commit([str(path.relative_to(directory))], "Damage it")
    assert renew_pin(directory, wheel).commit
    assert pin.verify(pin.read_pin(directory), Limits()) == wheel.data


def test_renewing_a_pin_needs_a_fleet_ops_repository(tmp_path: Path, wheel: Wheel) -> None:
    with pytest.raises(ConfigError, match="no Git repository"):
        renew_pin(tmp_path, wheel)
    git(tmp_path, "init", "--quiet")
    with pytest.raises(ConfigError, match="has no commit with"):
        renew_pin(tmp_path, wheel)


def test_what_git_says_about_it_is_written_as_json(tmp_path: Path, wheel: Wheel) -> None:
    init(tmp_path / "ops", THREE, wheel)
    said = json.loads((tmp_path / "ops" / pin.FILE).read_text())
    assert said == {
        "version": wheel.version,
        "sha256": wheel.sha256,
        "wheel": f"vendor/{wheel.filename}",
    }


def test_an_operator_whom_git_does_not_know_can_begin_too(
    tmp_path: Path, wheel: Wheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "GIT_AUTHOR_NAME",
        "GIT_AUTHOR_EMAIL",
        "GIT_COMMITTER_NAME",
        "GIT_COMMITTER_EMAIL",
    ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.useConfigOnly")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    init(tmp_path / "ops", THREE, wheel)
    assert git(tmp_path / "ops", "log", "-1", "--format=%an") == "fleet-agent"
