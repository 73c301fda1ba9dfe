"""Git as the operator's side uses it: a few questions and acts on one work tree.

Not the pipeline's Git (fetch, peel, check out): that is ``deploy.source``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fleet_agent import proc
from fleet_agent.errors import ConfigError

SECONDS: Final = 60.0
PUSH_SECONDS: Final = 300.0
# Used only where the operator has not told Git who they are.
_NOBODY: Final = ("-c", "user.name=fleet-agent", "-c", "user.email=fleet-agent@localhost")


@dataclass(frozen=True, slots=True)
class WorkTree:
    """A directory with a Git repository of its own in it (``exists``) or not yet."""

    path: Path

    @property
    def exists(self) -> bool:
        """Whether ``path`` is itself the top of a work tree (not a folder inside of one)."""
        return (self.path / ".git").exists()

    @property
    def git_directory(self) -> Path:
        """The directory that Git keeps its own things in (elsewhere for a linked work tree)."""
        return Path(self.git("rev-parse", "--absolute-git-dir").text)

    def git(self, *arguments: str, check: bool = True, seconds: float = SECONDS) -> proc.Completed:
        """Run git here; never asks for a password. Raises ProcessError."""
        env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
        for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
            env.pop(name, None)  # set inside of hooks, and about another repository
        argv = ["git", "-C", str(self.path), *arguments]
        return proc.run(argv, timeout_seconds=seconds, env=env, check=check)

    def commit_of(self, revision: str) -> str | None:
        """The commit that ``revision`` peels to as 40 hex digits, or None."""
        if revision.startswith("-"):
            return None
        asked = self.git(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}",
            check=False,
        )  # fmt: skip
        return asked.text if asked.code == 0 else None

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether commit ``older`` is in the history of ``newer`` (or the same)."""
        return self.git("merge-base", "--is-ancestor", older, newer, check=False).code == 0

    def changed(self) -> tuple[str, ...]:
        """Paths that differ from HEAD or that Git does not know, without ignored ones."""
        said = self.git("status", "--porcelain=v1", "-z", "--no-renames").out
        return tuple(
            entry[3:].decode("utf-8", "replace") for entry in said.split(b"\0") if len(entry) > 3
        )

    def remote(self) -> str | None:
        """The remote to push to: ``origin``, or the only one, or None."""
        names = self.git("remote").text.split()
        if "origin" in names:
            return "origin"
        return names[0] if len(names) == 1 else None

    def commit(self, paths: Sequence[str], subject: str) -> str:
        """Commit these paths, and nothing else that may be staged; the new commit."""
        self.git("add", "--force", "--", *paths)
        known = self.git("var", "GIT_AUTHOR_IDENT", check=False).code == 0
        who = () if known else _NOBODY
        self.git(*who, "commit", "--quiet", "--message", subject, "--", *paths)
        return self.commit_of("HEAD") or ""

    def archive(self, commit: str) -> bytes:
        """The files of ``commit`` as a tar."""
        return self.git("archive", "--format=tar", commit).out

    def bundle_of_head(self) -> bytes:
        """HEAD with its whole history as a git bundle."""
        return self.git("bundle", "create", "--quiet", "-", "HEAD", seconds=PUSH_SECONDS).out


def work_tree(directory: Path) -> WorkTree:
    """The fleet-ops checkout at ``directory``. Raises ConfigError where there is none."""
    tree = WorkTree(directory)
    if not tree.exists:
        raise ConfigError(
            "is no Git repository",
            where=str(directory),
            mend="run this in a checkout of your fleet-ops repository, or make one: "
            "fleet-agent init DIR",
        )
    return tree
