"""A fleet-ops repository to work on, and a Git that knows nobody's settings."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet_agent.setup.init import init
from fleet_agent.setup.target import Target
from fleet_agent.setup.wheel import build

Git = Callable[..., str]


@pytest.fixture(autouse=True)
def _an_operator_without_git_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Operator")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "operator@example.org")


@pytest.fixture
def git() -> Git:
    """Run git in a directory; its output."""

    def run(directory: Path, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", directory, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    return run


@pytest.fixture
def ops(tmp_path: Path) -> Path:
    """A fresh fleet-ops repository of two machines."""
    init(tmp_path / "ops", [Target("192.0.2.1"), Target("192.0.2.2")], build())
    return tmp_path / "ops"
