"""Moves the tag to a commit, pushes it, and finds the deploy that comes of it.

What is wrong with the commit is said before the tag moves: a deploy would refuse it later.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fleet_agent import proc
from fleet_agent.errors import ConfigError, NodeError, TryAgain
from fleet_agent.forge.refs import is_ref_name
from fleet_agent.setup import ground
from fleet_agent.setup.git import PUSH_SECONDS, WorkTree
from fleet_agent.setup.ground import Ground
from fleet_agent.setup.login import Login
from fleet_agent.setup.remote.venv import COMMAND

_ASK_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.3


class NoDeploy(TryAgain):
    """The tag was pushed, and no deploy came of it in time."""

    title = "no deploy came of it"


@dataclass(frozen=True, slots=True)
class Promotion:
    """A checked commit on its way: which tag of which remote it gets."""

    ground: Ground
    remote: str
    tag: str

    @property
    def ref(self) -> str:
        """The tag's full name."""
        return f"refs/tags/{self.tag}"


def prepare(tree: WorkTree, revision: str, tag: str) -> Promotion:
    """Check that ``revision`` ("" is HEAD, which must be clean) can be deployed.

    Raises ConfigError, RegistryError or PinError with what is wrong in it.
    """
    if not revision:
        ground.must_be_clean(tree)
    commit = tree.commit_of(revision or "HEAD")
    if commit is None:
        raise ConfigError(f"there is no commit {revision or 'HEAD'!r}", where=str(tree.path))
    remote = tree.remote()
    if remote is None:
        raise ConfigError(
            "has no remote to push to",
            where=str(tree.path),
            mend="git remote add origin git@forge.example.org:ops/fleet-ops.git",
        )
    basis = ground.read_commit(tree, commit)
    name = tag or basis.registry.deploy.tag
    if not is_ref_name(name):
        raise ConfigError(
            f"deploy.tag is {name!r}, a pattern", where="fleet.yaml", mend="say which: --tag NAME"
        )
    return Promotion(basis, remote, name)


def bring_branch(promotion: Promotion) -> bool:
    """See to it that the commit lies on the branch at the remote; whether it had to be pushed.

    The branch is only ever moved forward. Raises ConfigError for a commit that is neither on it
    nor ahead of it (the orchestrator would refuse it), and with the remote's own words where that
    takes no push to the branch.
    """
    tree, commit, remote = promotion.ground.tree, promotion.ground.commit, promotion.remote
    branch = promotion.ground.registry.deploy.branch
    tip = _tip(promotion, branch)
    if tip is not None and tree.is_ancestor(commit, tip):
        return False
    if tip is not None and not tree.is_ancestor(tip, commit):
        raise ConfigError(
            f"commit {commit[:12]} is neither on branch {branch} at {remote} nor ahead of it, so "
            "the orchestrator would refuse it",
            where=str(tree.path),
            mend=f"git pull --rebase {remote} {branch}, or have it merged; then promote again",
        )
    target = f"{commit}:refs/heads/{branch}"
    pushed = tree.git("push", "--quiet", remote, target, check=False, seconds=PUSH_SECONDS)
    if pushed.code != 0:
        raise ConfigError(
            f"{remote} takes no push of {commit[:12]} to {branch}: {pushed.complaint}",
            where=str(tree.path),
            mend="where the branch is protected, have the commit merged; then promote again",
        )
    return True


def _tip(promotion: Promotion, branch: str) -> str | None:
    """The commit that ``branch`` has at the remote, fetched; None where it has no such branch."""
    tree, remote = promotion.ground.tree, promotion.remote
    refs = tree.git("ls-remote", "--heads", remote, f"refs/heads/{branch}", seconds=PUSH_SECONDS)
    if not refs.text:
        return None
    tree.git("fetch", "--quiet", "--no-tags", remote, branch, seconds=PUSH_SECONDS)
    return refs.text.split()[0]


def move_tag(promotion: Promotion) -> bool:
    """Move the tag here and at the remote; whether the remote had it elsewhere. By force."""
    tree, commit = promotion.ground.tree, promotion.ground.commit
    if tree.commit_of(promotion.ref) != commit:
        tree.git("update-ref", promotion.ref, commit)
    said = tree.git("ls-remote", promotion.remote, promotion.ref, f"{promotion.ref}^{{}}")
    named = {line.split()[1]: line.split()[0] for line in said.text.splitlines()}
    if named.get(f"{promotion.ref}^{{}}", named.get(promotion.ref)) == commit:
        return False
    tree.git(
        "push", "--quiet", "--force", promotion.remote, f"{commit}:{promotion.ref}",
        seconds=PUSH_SECONDS,
    )  # fmt: skip
    return True


def deploys(login: Login) -> list[Mapping[str, Any]]:
    """The orchestrator's newest deploys. Raises NodeError when it can't be asked."""
    argv = login.command(COMMAND, "deploys", "--json")
    asked = proc.run(argv, timeout_seconds=_ASK_SECONDS, check=False)
    try:
        found: list[Mapping[str, Any]] = json.loads(asked.out)["deploys"]
    except (ValueError, KeyError, TypeError):
        raise NodeError(
            f"the orchestrator can't be asked for its deploys: {asked.complaint or asked.text}",
            where=login.name,
            mend="is fleet-deploy running there? (systemctl status fleet-deploy)",
        ) from None
    return found


def newest(listed: Sequence[Mapping[str, Any]]) -> int:
    """The number of the newest deploy, 0 where there is none."""
    return max((int(one["id"]) for one in listed), default=0)


def of_commit(listed: Sequence[Mapping[str, Any]], ref: str, commit: str, after: int) -> int | None:
    """The newest deploy after number ``after`` that is of ``commit``, or was asked for by its tag.

    As long as it waits its commit is not known: then the forge's hint tells, or the tag alone.
    """
    found = [
        int(one["id"])
        for one in listed
        if int(one["id"]) > after
        and one["kind"] != "check"
        and (one["commit"] == commit or (not one["commit"] and one["ref"] == ref))
    ]
    return max(found, default=None)


def wait_for_deploy(
    login: Login, promotion: Promotion, after: int, seconds: float,
    pause: Callable[[float], None] = time.sleep,
) -> int:  # fmt: skip
    """The number of the deploy that the pushed tag causes. Raises NoDeploy after ``seconds``."""
    end = time.monotonic() + seconds
    while True:
        found = of_commit(deploys(login), promotion.ref, promotion.ground.commit, after)
        if found is not None:
            return found
        if time.monotonic() >= end:
            raise NoDeploy(
                f"tag {promotion.tag} was pushed, but no deploy of it appeared in {seconds:g} s",
                where=login.name,
                mend="does the forge have the webhook, and may it call the orchestrator? "
                "(fleet-agent hook test; by hand: fleet-agent deploy)",
            )
        pause(_PAUSE_SECONDS)
