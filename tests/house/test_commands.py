"""Every command has its module, its help, its place in the papers, and a test."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from fleet_agent.cli.table import GROUPS, TABLE, Command
from tests.house.sources import ROOT

PAPERS = ("README.md", "docs/operations.md")


def name(command: Command) -> str:
    return command.name


@pytest.mark.parametrize("command", TABLE, ids=name)
def test_a_command_has_its_module(command: Command) -> None:
    module = importlib.import_module(command.module)
    assert callable(module.configure)
    assert callable(module.run)
    assert command.group in GROUPS


@pytest.mark.parametrize("command", TABLE, ids=name)
def test_a_commands_help_says_more_than_its_name(command: Command) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fleet_agent", command.name, "--help"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert command.name in done.stdout
    assert len(done.stdout.splitlines()) >= 4


@pytest.mark.parametrize("command", TABLE, ids=name)
def test_a_command_stands_in_the_papers(command: Command) -> None:
    text = "".join((ROOT / paper).read_text("utf-8") for paper in PAPERS)
    assert f"fleet-agent {command.name}" in text


@pytest.mark.parametrize("command", TABLE, ids=name)
def test_a_command_has_a_test(command: Command) -> None:
    module = command.module.rpartition(".")[2]
    tests = list((ROOT / "tests").rglob(f"test_{module}*.py"))
    assert tests, f"no tests/**/test_{module}*.py"
