"""The rooms: each on a floor of the import contract, and on the architecture page."""

from __future__ import annotations

import configparser
import re

import pytest

from tests.house.sources import PACKAGE, ROOT

NO_ROOM = {"__init__", "__main__", "share", "__pycache__"}


def rooms() -> set[str]:
    return {
        path.stem
        for path in PACKAGE.iterdir()
        if path.stem not in NO_ROOM and (path.suffix == ".py" or path.is_dir())
    }


def floors() -> set[str]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    text = setup["importlinter:contract:floors"]["layers"]
    return set(re.findall(r"[a-z_]+", text))


def test_every_room_has_its_floor() -> None:
    # `client` is for agents: standard library alone, below nothing.
    assert rooms() - {"client"} <= floors()


def test_every_room_is_on_the_architecture_page() -> None:
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    assert [room for room in sorted(rooms()) if f"`{room}`" not in page] == []


def test_the_decisions_are_numbered_once() -> None:
    names = [path.name for path in (ROOT / "docs/decisions").glob("*.md")]
    numbers = [name[:4] for name in names]
    assert all(re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", name) for name in names), names
    assert len(set(numbers)) == len(numbers), sorted(names)


def starts() -> list[tuple[str, str]]:
    """Path and name (or nothing) of each thing that the table "Where do I start?" points to."""
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    table = page.partition("## Where do I start?")[2].partition("\n## ")[0]
    found = []
    for path, names in re.findall(r"`([\w./-]+(?:/|\.\w+|EXPECTED))`(?: \(([^)]*)\))?", table):
        found += [(path, name) for name in re.findall(r"`(\w+)`", names)] or [(path, "")]
    return found


@pytest.mark.parametrize(("path", "name"), starts())
def test_where_to_start_is_there(path: str, name: str) -> None:
    places = [place for place in (ROOT / path, PACKAGE / path) if place.exists()]
    assert places, f"there is no {path}"
    if name:
        defined = rf"^(?:def |class )?{name}\b(?:\(|:|\s*=)"
        assert re.search(defined, places[-1].read_text("utf-8"), re.MULTILINE), f"{path}: no {name}"


def test_the_table_of_where_to_start_is_a_table_of_many_things() -> None:
    assert len(starts()) > 60
