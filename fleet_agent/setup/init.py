"""Makes an operator's fleet-ops repository, and renews its pin of fleet-agent. Effects.

What is in it is ``setup.fleetops``; run again it changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fleet_agent.deploy import pin
from fleet_agent.errors import ConfigError
from fleet_agent.setup.fleetops import REGISTRY, VENDOR, content, pin_content
from fleet_agent.setup.git import WorkTree, work_tree
from fleet_agent.setup.located import located
from fleet_agent.setup.target import Target
from fleet_agent.setup.wheel import Wheel

BRANCH: Final = "main"


@dataclass(frozen=True, slots=True)
class Made:
    """What was done: ``commit`` is the new commit ("" where nothing was to be done)."""

    directory: Path
    commit: str
    files: tuple[str, ...]
    pinned: str
    notes: tuple[str, ...] = ()


def init(directory: Path, targets: Sequence[Target], wheel: Wheel) -> Made:
    """Make the fleet-ops repository ``directory`` for these machines, committed on ``main``.

    An empty directory, a fresh clone of an empty repository, and an earlier run that was cut short
    are taken; a fleet-ops repository that is there already is left as it is. Raises ConfigError
    for any other directory that is not empty, for a machine named twice, and for a name that
    leads to no address.
    """
    _check_distinct(targets)
    tree = WorkTree(directory)
    if is_fleet_ops(tree):
        return Made(directory, "", (), pin.read_pin(directory).version, _notes(tree, wheel))
    wanted = content([located(target) for target in targets], wheel)
    _check_ours_to_fill(tree, wanted)
    directory.mkdir(parents=True, exist_ok=True)
    if not tree.exists:
        tree.git("init", "--quiet")
    # An unborn branch by that name, also in a clone whose forge calls it otherwise.
    tree.git("symbolic-ref", "HEAD", f"refs/heads/{BRANCH}")
    _write(directory, wanted)
    commit = tree.commit(sorted(wanted), "Begin the fleet")
    return Made(directory, commit, tuple(sorted(wanted)), wheel.version)


def renew_pin(directory: Path, wheel: Wheel) -> Made:
    """Pin the running fleet-agent in an existing fleet-ops repository: vendor/ and pin file only.

    Commits just these. Raises ConfigError where ``directory`` is no fleet-ops repository.
    """
    tree = work_tree(directory)
    if not is_fleet_ops(tree):
        raise ConfigError(
            f"has no commit with {REGISTRY} and {pin.FILE}",
            where=str(directory),
            mend="make a fleet-ops repository first: fleet-agent init DIR",
        )
    wanted = pin_content(wheel)
    known = tree.git("ls-files", "-z", "--", VENDOR).out.decode().split("\0")
    old = [path for path in known if path.endswith(".whl") and path not in wanted]
    paths = [*sorted(wanted), *old]
    if not old and _there(directory, wanted) and not set(paths) & set(tree.changed()):
        return Made(directory, "", (), wheel.version)
    for path in old:
        (directory / path).unlink(missing_ok=True)
    _write(directory, wanted)
    commit = tree.commit(paths, f"Pin fleet-agent {wheel.version} ({wheel.sha256[:12]})")
    return Made(directory, commit, tuple(paths), wheel.version)


def is_fleet_ops(tree: WorkTree) -> bool:
    """Whether the directory is a fleet-ops repository with a commit that has registry and pin."""
    if not tree.exists:
        return False
    names = (REGISTRY, pin.FILE)
    return all(tree.git("cat-file", "-e", f"HEAD:{name}", check=False).code == 0 for name in names)


def _notes(tree: WorkTree, wheel: Wheel) -> tuple[str, ...]:
    pinned = pin.read_pin(tree.path)
    if pinned.sha256 == wheel.sha256:
        return ()
    return (
        f"it pins fleet-agent {pinned.version} ({pinned.sha256[:12]}); this one is {wheel.version} "
        f"({wheel.sha256[:12]}). To pin this one: fleet-agent init --pin {tree.path}",
    )


def _check_distinct(targets: Sequence[Target]) -> None:
    seen: set[str] = set()
    for target in targets:
        if target.host in seen:
            raise ConfigError(
                "is named twice; a machine is named once",
                where=target.host,
                mend="several wizards on one machine: add them in fleet.yaml, each with a port",
            )
        seen.add(target.host)


def _check_ours_to_fill(tree: WorkTree, wanted: Mapping[str, bytes]) -> None:
    """Refuse a directory with anything in it that an ``init`` cut short could not have left."""
    directory = tree.path
    if directory.exists() and not directory.is_dir():
        raise ConfigError("is no directory", where=str(directory))
    if not directory.exists():
        return
    if tree.exists and tree.commit_of("HEAD"):
        raise ConfigError(
            "is a Git repository with commits, and no fleet-ops repository",
            where=str(directory),
            mend="name an empty or a new directory",
        )
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if name == ".git" or name.startswith(".git/") or (path.is_dir() and not path.is_symlink()):
            continue
        if name not in wanted or not tree.exists:
            raise ConfigError(
                f"is not empty: it holds {name}",
                where=str(directory),
                mend="name an empty or a new directory",
            )


def _there(directory: Path, wanted: Mapping[str, bytes]) -> bool:
    return all(
        (directory / path).is_file() and (directory / path).read_bytes() == data
        for path, data in wanted.items()
    )


def _write(directory: Path, wanted: Mapping[str, bytes]) -> None:
    for path, data in wanted.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
