"""The table of commands is well formed."""

from __future__ import annotations

from fleet_agent.cli import table


def test_names_are_there_once() -> None:
    names = [row.name for row in table.TABLE]
    assert len(names) == len(set(names))


def test_every_group_has_commands_and_every_command_a_group() -> None:
    assert {row.group for row in table.TABLE} == set(table.GROUPS)


def test_a_name_with_a_dash_lives_in_a_module_with_an_underscore() -> None:
    found = table.command("ansible-env")
    assert found is not None
    assert found.module == "fleet_agent.cli.commands.ansible_env"
    assert table.command("nothing") is None
