"""What is read and written in the operator's checkout before a machine is touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fleet_agent.deploy.pin import PinError
from fleet_agent.errors import ConfigError
from fleet_agent.registry import parse
from fleet_agent.setup import ground, remembered
from fleet_agent.setup.account import Account
from fleet_agent.setup.firstdeploy import newest_is
from fleet_agent.setup.git import WorkTree
from fleet_agent.setup.machines import Access
from fleet_agent.setup.repository import name_repository

Git = Callable[..., str]
URL = "git@forge.example.org:ops/fleet-ops.git"


def test_a_fresh_repository_can_be_deployed(ops: Path, git: Git) -> None:
    basis = ground.read(ops)
    assert basis.commit == git(ops, "rev-parse", "HEAD")
    assert basis.registry.orchestrator.name == "ezra"
    assert basis.wheel[:2] == b"PK"


def test_uncommitted_changes_are_refused_by_name(ops: Path) -> None:
    (ops / "souls" / "ezra.md").write_text("changed")
    (ops / "tasks" / "deploy.yml").write_text("[]")
    with pytest.raises(ConfigError) as refused:
        ground.read(ops)
    assert "souls/ezra.md" in refused.value.what
    assert "tasks/deploy.yml" in refused.value.what


def test_a_missing_soul_is_refused_before_anything_is_touched(ops: Path, git: Git) -> None:
    git(ops, "rm", "--quiet", "souls/bezalel.md")
    git(ops, "commit", "--quiet", "-m", "Lose a soul")
    with pytest.raises(ConfigError, match=r"souls/bezalel\.md"):
        ground.read(ops)


def test_a_wrong_pin_is_refused(ops: Path, git: Git) -> None:
    wheel = next((ops / "vendor").iterdir())
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    git(ops, "commit", "--quiet", "-am", "Damage the wheel")
    with pytest.raises(PinError):
        ground.read(ops)


def test_another_commit_is_checked_without_checking_it_out(ops: Path, git: Git) -> None:
    good = git(ops, "rev-parse", "HEAD")
    (ops / "fleet.yaml").write_text("wizards: [\n")
    git(ops, "commit", "--quiet", "-am", "Break the registry")
    tree = WorkTree(ops)
    assert ground.read_commit(tree, good).commit == good
    with pytest.raises(ConfigError):
        ground.read_commit(tree, git(ops, "rev-parse", "HEAD"))
    assert (ops / "fleet.yaml").read_text() == "wizards: [\n"


def test_the_repository_is_named_once_in_fleet_yaml(ops: Path, git: Git) -> None:
    tree = WorkTree(ops)
    before = (ops / "fleet.yaml").read_text()
    assert name_repository(tree, ground.read(ops).registry, URL)
    after = (ops / "fleet.yaml").read_text()
    assert after.startswith(before)
    registry = ground.read(ops).registry
    assert registry.deploy.repository == URL
    head = git(ops, "rev-parse", "HEAD")
    assert not name_repository(tree, registry, URL)
    assert git(ops, "rev-parse", "HEAD") == head


def test_a_deploy_section_of_the_operators_own_is_not_rewritten(ops: Path) -> None:
    text = (ops / "fleet.yaml").read_text() + "deploy:\n  tag: LIVE\n"
    (ops / "fleet.yaml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        name_repository(WorkTree(ops), parse.parse(text, "fleet.yaml"), URL)
    assert URL in refused.value.mend
    assert (ops / "fleet.yaml").read_text() == text


@pytest.mark.parametrize("url", ["https://me:secret@forge/x.git", 'a"b', "a b", "x\ny"])
def test_urls_that_would_be_committed_to_harm_are_refused(ops: Path, url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        name_repository(WorkTree(ops), ground.read(ops).registry, url)
    assert "secret" not in str(refused.value)


def test_how_the_operator_logs_in_is_remembered_in_the_checkout_alone(ops: Path, git: Git) -> None:
    tree = WorkTree(ops)
    access = Access(
        {"": "root", "fd00::3": "admin"}, "/home/o/.ssh/id", ("ProxyJump=root@b", "A=b")
    )
    assert remembered.recall(tree) == Access({})
    assert remembered.remember(tree, access)
    assert not remembered.remember(tree, access)
    assert remembered.recall(tree) == access
    assert git(ops, "status", "--porcelain") == ""


def test_what_is_said_now_comes_before_what_was_remembered() -> None:
    before = Access({"": "root", "a": "x"}, "/old", ("A=b",))
    merged = remembered.merged(before, Access({"a": "y"}, "/new"))
    assert merged == Access({"": "root", "a": "y"}, "/new", ("A=b",))


def test_outside_of_a_repository_nothing_is_remembered(tmp_path: Path) -> None:
    assert remembered.recall(WorkTree(tmp_path)) == Access({})


def test_steps_tell_who_was_changed_and_who_was_not() -> None:
    said: list[str] = []
    account = Account(said.append)
    account.add_answers(
        {
            "ezra": [{"what": "deploy user", "changed": True}],
            "bezalel": [{"what": "deploy user", "changed": False}],
        }
    )
    account.add("pins", (), ["ezra"])
    assert said == ["  changed    deploy user: ezra (bezalel had it)", "  as it was  pins"]
    assert account.changed


def test_the_newest_real_deploy_tells_what_the_fleet_runs() -> None:
    def listed(*deploys: tuple[int, str, str, str]) -> bytes:
        import json

        keys = ("id", "kind", "state", "commit")
        rows = [dict(zip(keys, deploy, strict=True)) for deploy in deploys]
        return json.dumps({"deploys": rows}).encode()

    assert newest_is(listed((1, "manual", "verified", "c"), (2, "check", "failed", "d")), "c")
    assert not newest_is(listed((1, "manual", "verified", "c"), (2, "hook", "failed", "c")), "c")
    assert not newest_is(listed((1, "manual", "verified", "b")), "c")
    assert not newest_is(listed(), "c")
    assert not newest_is(b"no json", "c")
