"""Specs: exactly what is expected, or refused with what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.node.errors import SpecError
from fleet_agent.node.spec import parse
from fleet_agent.release.manifest import to_json
from tests.unit.release.samples import built

SPEC: dict[str, Any] = {
    "v": 1,
    "fleet": "timmy",
    "deploy": 42,
    "nonce": "0123456789abcdef",
    "mode": "forward",
    "check": False,
    "node": "192.0.2.10",
    "commit": "a" * 40,
    "now": 1790000000.0,
    "holder": "fleet-deploy on ezra, deploy 42",
    "limits": {"deploy_confirm_seconds": 30},
    "layout": {"root": "/", "systemctl": ["systemctl"], "systemd_run": ["systemd-run"]},
    "pack_bytes": 0,
}


def line(**changes: object) -> bytes:
    return json.dumps({**SPEC, **changes}).encode() + b"\n"


def test_a_spec_is_read_whole() -> None:
    manifest = built().manifest
    spec = parse(line(manifest=to_json(manifest)))
    assert (spec.deploy, spec.nonce, spec.back, spec.check) == (
        42,
        "0123456789abcdef",
        False,
        False,
    )
    assert spec.wanted == manifest
    assert spec.limits["deploy_confirm_seconds"] == 30
    assert spec.limits["deploy_settle_seconds"] == 3
    assert spec.kill_at == ""


def test_the_way_back_needs_no_manifest_and_the_way_there_does() -> None:
    spec = parse(line(mode="back"))
    assert spec.back
    with pytest.raises(SpecError, match="no manifest"):
        _ = spec.wanted


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"nonce": "../../etc/passwd0"},
        {"nonce": "0123456789ABCDEF"},
        {"nonce": None},
        {"mode": "sideways"},
        {"deploy": -1},
        {"deploy": True},
        {"deploy": "42"},
        {"now": "later"},
        {"pack_bytes": 1.5},
        {"limits": {"no_such_limit": 1}},
        {"limits": {"deploy_confirm_seconds": 0}},
        {"limits": []},
        {"layout": {"root": "relative"}},
        {"layout": {"root": "/a/../.."}},
        {"layout": {"systemctl": "systemctl"}},
        {"layout": {"rooot": "/"}},
        {"layout": []},
        {"manifest": {"v": 1}},
        {"manifest": []},
        {"testing": {"run": "sh"}},
        {"unknown": 1},
        {"holder": 5},
    ],
)
def test_what_is_not_as_it_must_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        parse(line(**changes))


@given(st.binary(max_size=100))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with pytest.raises(SpecError):
        parse(data)
