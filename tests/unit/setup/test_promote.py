"""Moving the tag, with real Git; nothing moves for a commit that can't be deployed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.cli.main import main
from fleet_agent.errors import EXIT_OK, ConfigError
from fleet_agent.setup.git import WorkTree
from fleet_agent.setup.promote import bring_branch, move_tag, newest, of_commit, prepare

Git = Callable[..., str]


@pytest.fixture
def forge(ops: Path, git: Git, tmp_path: Path) -> Path:
    """A bare repository that is origin of ``ops``."""
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "forge.git")
    git(ops, "remote", "add", "origin", str(tmp_path / "forge.git"))
    return tmp_path / "forge.git"


def change(ops: Path, git: Git, text: str) -> str:
    (ops / "souls" / "ezra.md").write_text(text)
    git(ops, "commit", "--quiet", "-am", text)
    return git(ops, "rev-parse", "HEAD")


def test_the_branch_goes_forward_and_the_tag_moves(ops: Path, git: Git, forge: Path) -> None:
    tree = WorkTree(ops)
    first = prepare(tree, "", "")
    assert bring_branch(first)
    assert move_tag(first)
    second = change(ops, git, "second")
    promotion = prepare(tree, "", "")
    assert bring_branch(promotion)
    assert move_tag(promotion)
    assert git(forge, "rev-parse", "main") == second
    assert git(forge, "rev-parse", "PROD^{commit}") == second
    assert git(ops, "rev-parse", "PROD") == second


def test_the_second_time_nothing_moves(ops: Path, forge: Path) -> None:
    promotion = prepare(WorkTree(ops), "HEAD", "")
    bring_branch(promotion)
    move_tag(promotion)
    assert not bring_branch(promotion)
    assert not move_tag(promotion)


def test_the_tag_goes_back_to_an_older_commit(ops: Path, git: Git, forge: Path) -> None:
    tree = WorkTree(ops)
    old = git(ops, "rev-parse", "HEAD")
    change(ops, git, "second")
    newer = prepare(tree, "", "")
    bring_branch(newer)
    move_tag(newer)
    older = prepare(tree, old, "")
    assert not bring_branch(older)
    assert move_tag(older)
    assert git(forge, "rev-parse", "PROD") == old


def test_an_annotated_tag_at_the_commit_is_not_moved(ops: Path, git: Git, forge: Path) -> None:
    promotion = prepare(WorkTree(ops), "", "")
    bring_branch(promotion)
    git(ops, "tag", "--annotate", "--message", "x", "PROD")
    git(ops, "push", "--quiet", "origin", "PROD")
    assert not move_tag(promotion)


def test_a_commit_beside_the_branch_is_refused(ops: Path, git: Git, forge: Path) -> None:
    start = git(ops, "rev-parse", "HEAD")
    change(ops, git, "theirs")
    git(ops, "push", "--quiet", "origin", "main")
    git(ops, "reset", "--quiet", "--hard", start)
    change(ops, git, "ours")
    promotion = prepare(WorkTree(ops), "", "")
    with pytest.raises(ConfigError, match="neither on branch main"):
        bring_branch(promotion)


def test_a_protected_branch_answers_in_its_own_words(ops: Path, git: Git, forge: Path) -> None:
    hook = forge / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'main is protected' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(ConfigError, match="main is protected"):
        bring_branch(prepare(WorkTree(ops), "", ""))


def test_a_commit_that_can_not_be_deployed_is_refused_before_the_tag_moves(
    ops: Path, git: Git, forge: Path
) -> None:
    git(ops, "rm", "--quiet", "fleet-agent.json")
    git(ops, "commit", "--quiet", "-m", "Lose the pin")
    with pytest.raises(ConfigError, match="can't be read"):
        prepare(WorkTree(ops), "", "")
    assert git(forge, "tag") == ""


def test_changes_that_are_not_committed_matter_only_for_head(
    ops: Path, git: Git, forge: Path
) -> None:
    head = git(ops, "rev-parse", "HEAD")
    (ops / "souls" / "ezra.md").write_text("draft")
    with pytest.raises(ConfigError, match="not committed"):
        prepare(WorkTree(ops), "", "")
    assert prepare(WorkTree(ops), head, "").ground.commit == head


def test_without_a_remote_or_a_commit_it_says_what_is_missing(ops: Path) -> None:
    with pytest.raises(ConfigError, match="no remote"):
        prepare(WorkTree(ops), "", "")
    with pytest.raises(ConfigError, match="no commit"):
        prepare(WorkTree(ops), "no-such-branch", "")
    with pytest.raises(ConfigError, match="no commit"):
        prepare(WorkTree(ops), "--all", "")


def row(number: int, commit: str = "", ref: str = "refs/tags/PROD", kind: str = "hook") -> Any:
    return {"id": number, "commit": commit, "ref": ref, "kind": kind}


def test_the_deploy_of_the_push_is_found_among_others() -> None:
    listed = [row(9, "c", kind="check"), row(8, ""), row(7, "c"), row(6, "c")]
    assert of_commit(listed, "refs/tags/PROD", "c", 6) == 8
    assert of_commit(listed, "refs/tags/OTHER", "c", 6) == 7
    assert of_commit(listed, "refs/tags/OTHER", "c", 7) is None
    assert newest(listed) == 9
    assert newest([]) == 0


def test_the_command_tells_a_program_what_it_moved(
    ops: Path, forge: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for moved in (True, False):
        argv = ["promote", "--no-follow", "--json", "--directory", str(ops)]
        assert main(argv) == EXIT_OK
        said = json.loads(capsys.readouterr().out)
        assert (said["pushed"], said["moved"], said["tag"]) == (moved, moved, "PROD")
        assert said["commit"] == WorkTree(ops).commit_of("HEAD")
