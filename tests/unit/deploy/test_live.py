"""Events are read as they are written, each once, in the order of their time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet_agent.deploy import live


def write(place: Path, name: str, *events: object, half: str = "") -> None:
    with (place / name).open("a") as file:
        file.write("".join(json.dumps(event) + "\n" for event in events) + half)


def test_events_of_all_files_come_in_the_order_of_their_time(tmp_path: Path) -> None:
    write(tmp_path, "notes.jsonl", {"t": 1}, {"t": 4})
    write(tmp_path, "events.jsonl", {"t": 2}, {"t": 3})
    events, position = live.read(str(tmp_path), live.START)
    assert [event["t"] for event in events] == [1, 2, 3, 4]
    assert live.read(str(tmp_path), position) == ([], position)
    write(tmp_path, "back-events.jsonl", {"t": 5})
    events, _ = live.read(str(tmp_path), position)
    assert [event["t"] for event in events] == [5]


def test_half_a_line_is_left_until_it_is_whole(tmp_path: Path) -> None:
    write(tmp_path, "events.jsonl", {"t": 1}, half='{"t": ')
    events, position = live.read(str(tmp_path), live.START)
    assert [event["t"] for event in events] == [1]
    write(tmp_path, "events.jsonl", half="2}\n")
    events, _ = live.read(str(tmp_path), position)
    assert [event["t"] for event in events] == [2]


def test_half_a_line_of_a_killed_writer_loses_only_itself(tmp_path: Path) -> None:
    write(tmp_path, "events.jsonl", half='{"t": 1, "x')
    write(tmp_path, "events.jsonl", half="\n")
    write(tmp_path, "events.jsonl", [], {"t": "no time"}, {"t": 2})
    events, _ = live.read(str(tmp_path), live.START)
    assert [event["t"] for event in events] == ["no time", 2]


@pytest.mark.parametrize("value", [None, [], [1, 2], [1, 2, -3], [1, 2, "3"], [True, 0, 0], "x"])
def test_a_position_that_is_none_is_the_start(value: object) -> None:
    assert live.position_of(value) == live.START
    assert live.position_of([1, 2, 3]) == (1, 2, 3)
