"""A deploy's events and rows as a person reads them (the pure part of ``deploys``)."""

from __future__ import annotations

import pytest

from fleet_agent.deploy import told


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            {"event": "ok", "phase": "services", "host": "bezalel", "seconds": 0.412, "changed": 1},
            "deploy 42  services   bezalel  ok  0.41 s  changed",
        ),
        (
            {"event": "failed", "phase": "verify", "host": "h", "seconds": 2,
             "result": {"error": {"what": "exit 203"}}, "mode": "forward"},
            "deploy 42  verify     h  failed  2.00 s  exit 203",
        ),
        (
            {"event": "unreachable", "phase": "keys", "host": "h", "message": "timed out"},
            "deploy 42  keys       h  unreachable  timed out",
        ),
        (
            {"event": "ok", "phase": "deploy", "host": "h", "seconds": 1.0, "mode": "back"},
            "deploy 42  back: deploy  h  ok  1.00 s",
        ),
        ({"event": "note", "message": "fetched"}, "deploy 42  fetched"),
        ({"event": "cause", "message": "h failed"}, "deploy 42  cause: h failed"),
        ({"event": "note", "message": "a\x1b[2Jb\nc"}, "deploy 42  a [2Jb c"),
        ({"event": "start", "phase": "keys", "host": "h"}, None),
        ({"event": "phase", "phase": "keys"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_an_event_is_a_line(event: dict[str, object], line: str | None) -> None:
    assert told.event_line(42, event) == line


def test_the_cause_is_told_before_the_way_back() -> None:
    deploy = {
        "id": 7, "state": "rolled_back", "seconds": 3.21, "reason": "put back",
        "result": {
            "cause": {"host": "h", "phase": "verify", "what": "died", "where": "unit x",
                      "unit_log": ["exit 1"], "mistakes": []},
            "put_back": ["h"],
        },
    }  # fmt: skip
    lines = told.end_lines(deploy)
    assert lines[0] == "deploy 7  rolled_back  after 3.2 s: put back"
    assert lines.index("cause: h failed in verify (unit x): died") < lines.index(
        "put back and verified: h"
    )


def test_every_mistake_of_a_refused_registry_is_told() -> None:
    cause = {"host": "fleet-deploy", "phase": "", "what": "2 mistakes", "where": "",
             "mistakes": ["fleet.yaml:1: a", "fleet.yaml:2: b"]}  # fmt: skip
    lines = told.sentences({"cause": cause})
    assert lines[-2:] == ["  mistake: fleet.yaml:1: a", "  mistake: fleet.yaml:2: b"]


def test_phases_are_rows_of_run_host_and_seconds() -> None:
    result = {"runs": {"forward": {"phases": {"h": {"preflight": 0.5, "keys": 1}}}}}
    assert told.phase_table(result) == [
        ("forward", "h", "preflight", "0.50"),
        ("forward", "h", "keys", "1.00"),
    ]
    assert told.phase_table({}) == []
