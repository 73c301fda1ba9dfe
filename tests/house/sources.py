"""The files of this repository, as the house's tests look at them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "fleet_agent"


class Import(NamedTuple):
    """One import of a module: the whole dotted name."""

    line: int
    name: str


def modules(folder: Path = PACKAGE) -> list[Path]:
    """Every Python file below ``folder`` that is ours, links not followed."""
    return sorted(
        path
        for path in folder.rglob("*.py")
        if not any(parent.is_symlink() for parent in path.parents if parent != ROOT)
    )


def name_of(path: Path) -> str:
    """How a file is called in a failure."""
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[Import]:
    """Every import in a file, those inside of functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield Import(node.lineno, node.module)
