"""Every command helps, and is told of in README or docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fleet_agent.cli import table
from fleet_agent.cli.main import main

TOP = Path(__file__).parents[2]
COMMANDS = [pytest.param(row, id=row.name) for row in table.TABLE]


@pytest.mark.parametrize("row", COMMANDS)
def test_every_command_has_help_that_says_what_it_does(
    row: table.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([row.name, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: fleet-agent {row.name}")
    assert "everywhere: --json" in text
    described = text.partition("\n\n")[2].partition("\n\n")[0]
    assert len(described) > 20


@pytest.mark.parametrize("row", COMMANDS)
def test_every_command_is_told_of(row: table.Command) -> None:
    pages = [TOP / "README.md", *sorted((TOP / "docs").rglob("*.md"))]
    said = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    assert re.search(rf"fleet-agent {re.escape(row.name)}\b", said), (
        f"no page says `fleet-agent {row.name}`"
    )


def test_the_table_and_the_command_modules_are_the_same() -> None:
    folder = TOP / "fleet_agent" / "cli" / "commands"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    named = {row.module.rpartition(".")[2] for row in table.TABLE}
    helpers = {name for name in modules if name.startswith("_")}
    assert modules - helpers == named
