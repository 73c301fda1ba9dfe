"""Every limit has a line in etc/ and in docs/limits.md, and there are no others."""

from __future__ import annotations

import ast
import re

from fleet_agent.limits import TABLE
from fleet_agent.registry.schema import deploy_limit_keys
from tests.house.limits_page import SCOPES, page
from tests.house.sources import PACKAGE, ROOT, modules, name_of

# `#   name: 8192   # unit: what it is for`, switched on or commented out.
LINE = re.compile(r"^\s*#?\s*([a-z_]+):\s*([0-9]+(?:\.[0-9]+)?)(?=\s|$)", re.MULTILINE)


def lines_of(name: str) -> dict[str, float]:
    """Name and value of every limit line in an example file."""
    text = (ROOT / "etc" / name).read_text("utf-8")
    return {name: float(value) for name, value in LINE.findall(text)}


def shown() -> dict[str, float]:
    """The limits as the examples show them; fleet.yaml has those of ``deploy:`` by short name."""
    short = lines_of("fleet.yaml")
    deploy = {full: short[key] for key, full in deploy_limit_keys().items() if key in short}
    return lines_of("daemon.yaml") | deploy


def test_every_limit_stands_in_the_examples_with_its_default() -> None:
    lines = shown()
    settable = [limit for limit in TABLE if limit.scope != "file"]
    assert [limit.name for limit in settable if limit.name not in lines] == []
    assert {limit.name: lines[limit.name] for limit in settable} == {
        limit.name: limit.default for limit in settable
    }


def test_the_limits_of_a_daemon_stand_in_daemon_yaml() -> None:
    text = (ROOT / "etc/daemon.yaml").read_text("utf-8")
    names = {name for name, _ in LINE.findall(text)}
    assert [one.name for one in TABLE if one.scope == "daemon" and one.name not in names] == []


def test_the_page_of_limits_is_the_table() -> None:
    written = (ROOT / "docs/limits.md").read_text("utf-8")
    assert written == page(), "write it anew: python -m tests.house.limits_page > docs/limits.md"


def test_a_limits_bounds_hold_its_default_and_its_name_its_unit() -> None:
    for limit in TABLE:
        assert limit.low <= limit.default <= limit.high, limit.name
        assert limit.scope in {scope for scope, _ in SCOPES}, limit.name
    assert len({limit.name for limit in TABLE}) == len(TABLE)


def test_every_limit_is_used() -> None:
    text = "\n".join(path.read_text("utf-8") for path in modules() if path.name != "limits.py")
    text += (ROOT / "playbooks/plugins/action/fleet_phase.py").read_text("utf-8")
    assert PACKAGE.is_dir()
    assert [limit.name for limit in TABLE if f'"{limit.name}"' not in text] == []


def test_no_sentence_names_a_limit_of_a_deploy_by_a_name_that_nobody_can_write() -> None:
    unwritable = {full for short, full in deploy_limit_keys().items() if short != full}
    found = [
        f"{name_of(path)}:{node.lineno} {node.value}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and " " in node.value
        and node.value.count("\n") == 0
        and unwritable & set(re.findall(r"[a-z_]+", node.value))
    ]
    assert found == []
