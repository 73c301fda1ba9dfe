"""Souls and files must lie in the repository's own folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet_agent.registry.parse import RegistryError, parse


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "ops"
    (folder / "souls").mkdir(parents=True)
    (folder / "souls" / "ezra.md").write_text("be kind")
    (tmp_path / "outside.md").write_text("secret")
    (folder / "souls" / "linked.md").symlink_to("ezra.md")
    (folder / "souls" / "out.md").symlink_to(tmp_path / "outside.md")
    (folder / "away").symlink_to(tmp_path)
    (folder / "souls" / "gone.md").symlink_to("nowhere")
    (folder / "souls" / "loop.md").symlink_to("loop.md")
    return folder


def faults(repository: Path, soul: str) -> list[str]:
    text = f"wizards: {{ezra: {{host: 192.0.2.9, role: orchestrator, soul: {soul}}}}}"
    try:
        parse(text, repository=str(repository))
    except RegistryError as error:
        return [mistake.what for mistake in error.mistakes]
    return []


@pytest.mark.parametrize("soul", ["souls/ezra.md", "souls/linked.md"])
def test_a_file_of_the_repository(repository: Path, soul: str) -> None:
    assert faults(repository, soul) == []


@pytest.mark.parametrize(
    ("soul", "what"),
    [
        ("souls/ezra.txt", "souls/ezra.txt can't be read: No such file or directory"),
        ("souls/gone.md", "souls/gone.md can't be read: No such file or directory"),
        ("souls/out.md", "souls/out.md is led out of the repository by a link"),
        ("away/outside.md", "away/outside.md is led out of the repository by a link"),
        ("souls", "souls is no plain file"),
        ("souls/ezra.md/x", "souls/ezra.md/x can't be read: Not a directory"),
    ],
)
def test_anything_else_is_told(repository: Path, soul: str, what: str) -> None:
    assert faults(repository, soul) == [what]


def test_a_link_to_itself_is_told(repository: Path) -> None:
    assert len(faults(repository, "souls/loop.md")) == 1


def test_a_name_longer_than_the_file_system_takes_is_told(repository: Path) -> None:
    assert len(faults(repository, "a" * 300)) == 1
