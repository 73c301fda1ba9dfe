"""The operator's checkout of fleet-ops: commits made of what was verified last and a change."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from .content import Edit, Files, Registry
from .gitserver import BRANCH, GitServer, Repository

TAG = "PROD"
REGISTRY = "fleet.yaml"


@dataclass
class Checkout:
    """A checkout at `path` whose commits begin from `base`, the content that was verified last."""

    git: GitServer
    path: Path
    base: dict[str, bytes] = field(default_factory=dict)
    registry: Registry = field(default_factory=dict)
    _tried: tuple[dict[str, bytes], Registry] | None = None

    def adopt(self, repository: Repository) -> None:
        """Take what `fleet-agent init` made as the base, and the forge's repository as origin."""
        for path in self.path.rglob("*"):
            name = path.relative_to(self.path)
            if path.is_file() and name.parts[0] != ".git":
                self.base[name.as_posix()] = path.read_bytes()
        self._git("remote", "add", "origin", repository.url)

    def keep(self, *names: str) -> None:
        """Take files that somebody else changed in the checkout into the base."""
        self.base |= {name: (self.path / name).read_bytes() for name in names}

    def commit(self, files: Files | None = None, edit: Edit | None = None) -> str:
        """Commit the base with a change: files (None removes one), the registry edited in place.

        What an earlier commit that was not verified had changed is gone again.
        """
        tree, registry = dict(self.base), copy.deepcopy(self.registry)
        for path, data in (files or {}).items():
            if data is None:
                del tree[path]
            else:
                tree[path] = data.encode() if isinstance(data, str) else data
        if edit is not None:
            edit(registry)
        if REGISTRY not in (files or {}):
            tree[REGISTRY] = yaml.safe_dump(registry, sort_keys=False).encode()
        self._tried = tree, registry
        self._git("rm", "-r", "-q", "--ignore-unmatch", "--force", ".")
        for path, data in tree.items():
            at = self.path / path
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(data)
        self._git("add", "--all", "--force", ".")
        self._git("commit", "--quiet", "--allow-empty", "-m", "Change the fleet")
        return self._git("rev-parse", "HEAD")

    def was_verified(self) -> None:
        """Begin from the last commit from now on."""
        if self._tried is not None:
            self.base, self.registry = self._tried

    def move_tag(self) -> None:
        """Move the tag to the last commit, and push it and the branch."""
        self._git("tag", "--force", TAG, "HEAD")
        self.push(f"+refs/tags/{TAG}")

    def push(self, *refs: str) -> None:
        """Push the branch, and these refs with it."""
        self._git("push", "--quiet", "origin", f"HEAD:refs/heads/{BRANCH}", *refs)

    def _git(self, *words: str) -> str:
        return self.git.git(*words, cwd=self.path).stdout.strip()
