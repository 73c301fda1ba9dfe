"""What holds for every module."""

from __future__ import annotations

import ast
import sys

import pytest

from tests.house.sources import PACKAGE, ROOT, imports, modules, name_of

LONGEST_LINES = 400
OURS = {"fleet_agent", "yaml"}
RUNS_PROGRAMS = {"fleet_agent/proc.py"}


def lines_of(path: object) -> int:
    return len(path.read_text("utf-8").splitlines())  # type: ignore[attr-defined, no-any-return]


def test_no_module_is_longer_than_a_person_reads_at_once() -> None:
    found = [
        f"{name_of(path)}: {lines_of(path)}" for path in [*modules(), *modules(ROOT / "tests")]
    ]
    too_long = [one for one in found if int(one.rpartition(" ")[2]) > LONGEST_LINES]
    assert too_long == []
    assert len(found) > 50


def test_the_package_imports_the_standard_library_itself_and_yaml_only() -> None:
    known = set(sys.stdlib_module_names) | OURS
    foreign = [
        f"{name_of(path)}:{found.line} {found.name}"
        for path in modules()
        for found in imports(path)
        if found.name.split(".")[0] not in known
    ]
    assert foreign == []


def test_only_proc_knows_subprocess() -> None:
    found = {
        name_of(path)
        for path in modules()
        for one in imports(path)
        if one.name.split(".")[0] in {"subprocess", "multiprocessing", "pty"}
    }
    assert found == RUNS_PROGRAMS


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_says_what_it_is_for(path: object) -> None:
    text = path.read_text("utf-8")  # type: ignore[attr-defined]
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring, "has no docstring"
    assert docstring.splitlines()[0].rstrip().endswith((".", ":", "?")), docstring.splitlines()[0]


BROAD = {"Exception", "BaseException", "OSError", "FleetError"}


def test_no_broad_error_is_swallowed_without_a_word() -> None:
    bare = [
        f"{name_of(path)}:{node.lineno}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and len(node.body) == 1
        and isinstance(node.body[0], ast.Pass)
        and (node.type is None or ast.unparse(node.type) in BROAD)
        and "#" not in _lines(path, node.lineno, node.body[0].lineno)
    ]
    assert bare == []


def _lines(path: object, first: int, last: int) -> str:
    text = path.read_text("utf-8")  # type: ignore[attr-defined]
    return "\n".join(text.splitlines()[first - 1 : last])


# `until` waits for something, and fails when it does not come.
CAN_FAIL = ("assert", "raises", "fail(", "check", "expect", "until(")


def test_every_test_can_fail() -> None:
    functions = [
        (name_of(path), node.name, ast.unparse(node))
        for path in modules(ROOT / "tests")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
    ]
    helpers = {
        f"{name}("
        for _, name, source in functions
        if not name.startswith("test_") and any(word in source for word in CAN_FAIL)
    }
    harmless = [
        f"{where} {name}"
        for where, name, source in functions
        if name.startswith("test_") and not any(word in source for word in (*CAN_FAIL, *helpers))
    ]
    assert harmless == []


def test_every_package_of_the_house_is_importable() -> None:
    rooms = [path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.is_symlink()]
    without = [
        room
        for room in rooms
        if room not in {"share", "__pycache__"} and not (PACKAGE / room / "__init__.py").exists()
    ]
    assert without == []
