"""The bare mirror of the fleet-ops repository: fetched by force, asked for commits. Effects.

Not for files of a commit (``checkout``). Nothing in the mirror is run: no hooks, no filters.
"""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fleet_agent import proc
from fleet_agent.deploy.paths import DeployPaths
from fleet_agent.errors import FleetError, RequestError
from fleet_agent.forge import refs
from fleet_agent.forge.payload import shown_url

_log = logging.getLogger("fleet_agent.deploy")

_LOCAL_SECONDS: Final = 60.0
_PROTOCOLS: Final = "ssh:https:http:file"
_REFSPECS: Final = ("+refs/tags/*:refs/tags/*", "+refs/heads/*:refs/heads/*")
# Words of git and ssh on what another try may mend (a name server, a restarting forge).
_NETWORK: Final = (
    "could not resolve", "connection refused", "connection reset", "connection timed out",
    "connection closed", "operation timed out", "no route to host", "network is unreachable",
    "the remote end hung up", "early eof", "broken pipe", "temporary failure", "did not end within",
    "returned error: 5", "empty reply",
)  # fmt: skip


class FetchError(FleetError):
    """The repository could not be fetched."""

    retryable = True
    title = "the repository could not be fetched"


class NoSuchCommit(RequestError):  # noqa: N818 (it reads as what happened)
    """A ref does not exist in the repository, or names no commit, or not one of the branch."""

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        super().__init__(what, status=404, where=where, mend=mend)


@dataclass(frozen=True, slots=True)
class Peeled:
    """What a ref names: the commit, and the object that it names itself (maybe a tag object)."""

    ref: str
    commit: str
    tag_object: str


@dataclass(frozen=True, slots=True)
class Source:
    """The mirror at ``paths.mirror``."""

    paths: DeployPaths

    def prepare(self) -> None:
        """Make the mirror where there is none, or where a power cut left half of one."""
        if self._there():
            return
        os.makedirs(self.paths.state, exist_ok=True)
        if os.path.exists(self._head):
            # Empty: its data was not on disk yet. With it git knows no repository, and init does
            # not touch it; without it init makes good what is missing, and keeps what is there.
            os.unlink(self._head)
        # An empty template: no sample hooks, no description.
        self.git("init", "--quiet", "--bare", "--template=", "--", self.paths.mirror, mirror=False)

    def fetch(self, repository: str, timeout_seconds: float) -> None:
        """Bring all tags and branches to what the repository says, by force; gone ones go.

        Tried once more after an error of the network. Raises FetchError.
        """
        if not repository:
            raise FetchError(
                "no repository is configured",
                where="deploy.repository of fleet.yaml",
                mend="name the repository's URL there",
            )
        self.prepare()
        argv = (
            "fetch", "--quiet", "--force", "--prune", "--no-tags", "--no-auto-maintenance",
            "--no-write-fetch-head", "--recurse-submodules=no", "--", repository, *_REFSPECS,
        )  # fmt: skip
        try:
            self.git(*argv, timeout_seconds=timeout_seconds)
        except proc.ProcessError as error:
            if not _of_network(error):
                raise self._not_fetched(error, repository) from error
            _log.warning("fetch of %s failed (%s), trying once more", shown_url(repository), error)
            try:
                self.git(*argv, timeout_seconds=timeout_seconds)
            except proc.ProcessError as second:
                raise self._not_fetched(second, repository) from second

    @staticmethod
    def _not_fetched(error: proc.ProcessError, repository: str) -> FetchError:
        what = error.what.replace(repository, shown_url(repository))
        return FetchError(
            f"git fetch {what}",
            where=shown_url(repository),
            mend="does the forge answer, does it know the deploy key, is its host key pinned?",
        )

    def peel(self, ref: str) -> Peeled:
        """The commit that the full name ``ref`` leads to, through annotated tags.

        Raises NoSuchCommit, also when it names a tree or a blob.
        """
        named = self._parse(ref)
        if named is None:
            raise NoSuchCommit(
                f"{ref} does not exist in the repository", mend="was it deleted, or never pushed?"
            )
        commit = self._parse(f"{ref}^{{commit}}")
        if commit is None:
            raise NoSuchCommit(f"{ref} names no commit", mend="move it to a commit")
        return Peeled(ref, commit, named)

    def find(self, name: str) -> Peeled:
        """The commit that a person means by ``name``: a full ref, tag, branch or commit id.

        Raises RequestError for what can't be a name, NoSuchCommit for what is not there.
        """
        if not refs.is_ref_name(name):
            raise RequestError(f"{name!r} cannot be a tag, branch or commit")
        if name.startswith("refs/"):
            return self.peel(name)
        for full in (refs.TAGS + name, refs.HEADS + name):
            if self._parse(full) is not None:
                return self.peel(full)
        if len(name) >= 7 and not set(name) - set("0123456789abcdef"):
            commit = self._parse(f"{name}^{{commit}}")
            if commit is not None:
                return Peeled(commit, commit, commit)
        raise NoSuchCommit(
            f"there is no tag, branch or commit {name!r} in the mirror",
            mend="was it pushed? (a short commit id needs seven digits, and must be the only one)",
        )

    def has(self, object_id: str) -> bool:
        """Whether the mirror holds an object of this id."""
        if not refs.is_object_id(object_id):
            return False
        return self.git("cat-file", "-e", object_id, check=False).code == 0

    def must_lie_on(self, commit: str, branch: str) -> None:
        """Raises NoSuchCommit unless ``commit`` is in the history of ``branch``."""
        head = refs.HEADS + branch
        if self._parse(head) is None:
            raise NoSuchCommit(
                f"the branch {branch}, which the tag's commit must lie on, does not exist",
                mend=f"push {branch}, or set deploy.branch in fleet.yaml",
            )
        if not self._is_in(commit, head):
            raise NoSuchCommit(
                f"commit {refs.short(commit)} does not lie on branch {branch}",
                mend=f"push it to {branch} first, then push the tag anew or run fleet-agent deploy",
            )

    def lies_on(self, commit: str, branch: str) -> bool:
        """Whether ``commit`` is in the history of ``branch``; of one that isn't there, none is."""
        head = refs.HEADS + branch
        return self._parse(head) is not None and self._is_in(commit, head)

    def _is_in(self, commit: str, head: str) -> bool:
        asked = self.git("merge-base", "--is-ancestor", commit, head, check=False)
        if asked.code not in (0, 1):
            raise FleetError(f"git merge-base ended with {asked.code}: {asked.complaint}")
        return asked.code == 0

    def keep(self, deploy: int, commit: str) -> None:
        """Keep ``commit`` under refs/deploys/N: no prune and no gc can lose it then."""
        self.git("update-ref", "--", f"refs/deploys/{deploy}", commit)

    def forget(self, deploy: int) -> None:
        """Let go of what deploy ``deploy`` kept."""
        self.git("update-ref", "-d", "--", f"refs/deploys/{deploy}")

    def tidy(self, timeout_seconds: float = 600.0) -> None:
        """Let git pack the mirror if it thinks that it is time. For when nothing waits."""
        if self._there():
            self.git("gc", "--auto", "--quiet", timeout_seconds=timeout_seconds)

    @property
    def _head(self) -> str:
        return os.path.join(self.paths.mirror, "HEAD")

    def _there(self) -> bool:
        return os.path.isfile(self._head) and os.path.getsize(self._head) > 0

    def _parse(self, name: str) -> str | None:
        asked = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", name, check=False)
        return asked.text.strip() if asked.code == 0 else None

    def git(
        self,
        *words: str,
        timeout_seconds: float = _LOCAL_SECONDS,
        stdin: bytes | None = None,
        check: bool = True,
        mirror: bool = True,
        most_bytes: int = proc.MOST_BYTES,
    ) -> proc.Completed:
        """Run git on the mirror with nobody's configuration but this. Raises proc.ProcessError."""
        place = (f"--git-dir={self.paths.mirror}",) if mirror else ()
        return proc.run(
            ("git", *place, *_SETTINGS, *words),
            timeout_seconds=timeout_seconds,
            stdin=stdin,
            env=environment(self.paths, os.environ),
            cwd=self.paths.state,
            check=check,
            most_bytes=most_bytes,
        )


_SETTINGS: Final = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "credential.helper=",
    "-c", "core.fsmonitor=false",
    "-c", "core.askPass=",
    "-c", "gc.autoDetach=false",
    "-c", "maintenance.auto=false",
    # By itself git fsyncs neither refs nor loose objects: a power cut would leave empty files.
    "-c", "core.fsync=all",
    "-c", "protocol.allow=user",
    "-c", "protocol.ext.allow=never",
)  # fmt: skip


def environment(paths: DeployPaths, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of every git: no prompts, no user's or system's configuration, our key."""
    taken = {key: inherited[key] for key in ("PATH", "LANG", "TZ", "TMPDIR") if key in inherited}
    return taken | {
        "HOME": paths.state,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": _PROTOCOLS,
        "GIT_SSH_COMMAND": ssh_command(paths),
        "GIT_SSH_VARIANT": "ssh",
        "LC_ALL": "C.UTF-8",
    }


def ssh_command(paths: DeployPaths) -> str:
    """GIT_SSH_COMMAND: git hands it to a shell, so each word is quoted."""
    options = [
        "-F", "none",
        "-o", "BatchMode=yes",
        "-o", "StrictHostKeyChecking=yes",
        "-o", f"UserKnownHostsFile={_ssh_quoted(paths.known_hosts)}",
        "-o", "GlobalKnownHostsFile=/dev/null",
        "-o", "ConnectTimeout=10",
        "-o", "ServerAliveInterval=5",
        "-o", "ServerAliveCountMax=3",
        "-o", "ForwardAgent=no",
        "-o", "ClearAllForwardings=yes",
    ]  # fmt: skip
    if os.path.exists(paths.git_key):
        options += ["-o", "IdentitiesOnly=yes", "-i", paths.git_key]
    return shlex.join(["ssh", *options])


def _ssh_quoted(path: str) -> str:
    # ssh splits the value at blanks and expands per-cent signs.
    return '"' + path.replace("%", "%%") + '"'


def _of_network(error: proc.ProcessError) -> bool:
    said = error.what.lower()
    return any(words in said for words in _NETWORK)
