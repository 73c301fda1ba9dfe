"""What bootstrap reads before it touches a machine: a clean checkout, its registry, its pin."""

from __future__ import annotations

import io
import tarfile
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from fleet_agent.deploy import pin as pins
from fleet_agent.deploy.pin import Pin
from fleet_agent.errors import ConfigError
from fleet_agent.limits import Limits
from fleet_agent.registry import parse
from fleet_agent.registry.schema import Registry
from fleet_agent.setup.fleetops import REGISTRY
from fleet_agent.setup.git import WorkTree, work_tree


@dataclass(frozen=True, slots=True)
class Ground:
    """A fleet-ops checkout whose HEAD can be deployed. ``wheel`` is the pinned one's bytes."""

    tree: WorkTree
    commit: str
    registry: Registry
    pin: Pin
    wheel: bytes

    def now(self) -> Ground:
        """The same with the commit that is HEAD now."""
        return replace(self, commit=self.tree.commit_of("HEAD") or self.commit)


def read(directory: Path) -> Ground:
    """Check the checkout at ``directory`` as a deploy of its HEAD would.

    Raises ConfigError for uncommitted changes (they would not be deployed, and surprise), for no
    commit, RegistryError with every mistake of the registry, PinError.
    """
    tree = work_tree(directory)
    commit = tree.commit_of("HEAD")
    if commit is None:
        raise ConfigError("has no commit yet", where=str(directory), mend="commit your files")
    must_be_clean(tree)
    return _checked(tree, commit, directory)


def read_commit(tree: WorkTree, commit: str) -> Ground:
    """Check any ``commit`` of the repository like ``read`` does, without checking it out."""
    with tempfile.TemporaryDirectory(prefix="fleet-agent-commit-") as directory:
        with tarfile.open(fileobj=io.BytesIO(tree.archive(commit))) as archive:
            # Debian 12's Python 3.11.2 has no filters, and git writes no path that needs one.
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(directory)  # noqa: S202
        ground = _checked(tree, commit, Path(directory))
    return replace(ground, pin=replace(ground.pin, tree=tree.path))


def must_be_clean(tree: WorkTree) -> None:
    """Raises ConfigError for changes that are in no commit."""
    changed = tree.changed()
    if changed:
        raise ConfigError(
            f"has changes that are not committed: {', '.join(changed[:5])}"
            + (f" and {len(changed) - 5} more" if len(changed) > 5 else ""),
            where=str(tree.path),
            mend="what is deployed is a commit: commit them, or put them into .gitignore",
        )


def _checked(tree: WorkTree, commit: str, directory: Path) -> Ground:
    registry = parse.load(str(directory / REGISTRY))
    _check_sources(directory, registry)
    pin = pins.read_pin(directory)
    wheel = pins.verify(pin, Limits(registry.deploy.limits))
    return Ground(tree, commit, registry, pin, wheel)


def _check_sources(directory: Path, registry: Registry) -> None:
    """Raises ConfigError for a soul or a file that the registry names and the commit lacks."""
    for wizard in registry.wizards:
        named = [wizard.soul.file] if wizard.soul is not None else []
        named += [file.source for file in wizard.files]
        for name in named:
            if not (directory / name).is_file():
                raise ConfigError(
                    f"names {name}, which is not there",
                    where=f"{REGISTRY}, wizards.{wizard.name}",
                    mend="write and commit it",
                )
