"""GET /health: the draft's form, the worst status counts, every warning says why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fleet_agent.errors import RequestError
from fleet_agent.gateway.health import Check, Release, health_handler, report
from fleet_agent.wire import Health
from tests.unit.gateway.gatewayparts import ELSEWHERE, request, serving

NOW = 1_770_091_506.0
WELL = Check("disk:free", Health.PASS, 900, "MiB", "system")
SLOW = Check("loop:stall", Health.WARN, 1500.0, "ms", reason="stood still")
BAD = Check("soul:seal", Health.FAIL, reason="the soul is missing")


def said(*checks: Check) -> tuple[int, Any]:
    answer = report(serving(), Release("r1", "in1", "r2"), checks, NOW)
    assert answer.content_type == "application/health+json"
    assert dict(answer.headers)["Cache-Control"] == "no-store"
    return answer.status, json.loads(answer.body)


def test_the_form_is_the_drafts_with_members_of_our_own() -> None:
    status, value = said(WELL)
    assert status == 200
    assert value | {"checks": None, "version": "x"} == {
        "status": "pass",
        "version": "x",
        "releaseId": "r1",
        "serviceId": "ezra",
        "description": "fleet-agent of ezra in fleet timmy",
        "fleet": "timmy",
        "wizard": "ezra",
        "running": "in1",
        "installed": "r2",
        "output": [],
        "checks": None,
    }
    assert value["checks"] == {
        "disk:free": [
            {
                "componentType": "system",
                "status": "pass",
                "time": "2026-02-03T04:05:06Z",
                "observedValue": 900,
                "observedUnit": "MiB",
            }
        ]
    }


@pytest.mark.parametrize(
    ("checks", "status", "word"),
    [((WELL,), 200, "pass"), ((WELL, SLOW), 200, "warn"), ((WELL, SLOW, BAD), 503, "fail"),
     ((BAD, WELL), 503, "fail"), ((), 200, "pass")],
)  # fmt: skip
def test_the_worst_check_counts(checks: tuple[Check, ...], status: int, word: str) -> None:
    found = said(*checks)
    assert (found[0], found[1]["status"]) == (status, word)


def test_the_reasons_come_worst_first() -> None:
    _, value = said(WELL, SLOW, BAD)
    assert value["output"] == ["the soul is missing", "stood still"]
    assert value["checks"]["soul:seal"][0]["output"] == "the soul is missing"


def test_it_needs_no_key_and_looks_anew_each_time() -> None:
    found = [WELL, BAD]
    answer = health_handler(serving(), Release, [found.pop])
    assert answer(request("/health", peer=ELSEWHERE)).status == 503
    assert answer(request("/health", peer=ELSEWHERE)).status == 200


def test_probes_are_not_pretended() -> None:
    answer = health_handler(serving(), Release, [])
    with pytest.raises(RequestError) as caught:
        answer(request("/health", query=(("deep", "1"),)))
    assert caught.value.http_status == 501
