"""Whose health an answer is, and how good it is: read by its body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fleet_agent.errors import FleetError, TryAgain
from fleet_agent.gateway.health import Release, report
from fleet_agent.httpd.answer import problem
from fleet_agent.observe.healthbody import judge
from fleet_agent.observe.sight import HealthSight
from fleet_agent.wire import Health
from tests.unit.gateway.gatewayparts import serving

GOOD: dict[str, Any] = {
    "status": "pass",
    "version": "0.1.0",
    "releaseId": "aaaa",
    "installed": "bbbb",
    "serviceId": "ezra",
    "fleet": "timmy",
    "output": [],
    "checks": {"uptime": [{"observedValue": 12.5, "observedUnit": "s"}]},
}


def ours() -> bytes:
    """What a daemon of ours says of its health, as bytes."""
    return report(serving(), Release("aaaa", "cccc", "bbbb"), [], 0.0).body


def seen(said: object, status: int = 200) -> HealthSight:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return judge("ezra", "timmy", status, body, "http")


def test_a_daemon_that_is_well_tells_its_release_and_age() -> None:
    assert seen(GOOD) == HealthSight(
        Health.PASS, "", "http", True, "0.1.0", release="bbbb", running="aaaa", age_seconds=12.5
    )


def test_a_warning_tells_its_reasons() -> None:
    sight = seen(GOOD | {"status": "warn", "output": ["12 MiB are free", "the clock jumped"]})
    assert (sight.status, sight.why) == (Health.WARN, "12 MiB are free; the clock jumped")


def test_a_failure_is_one_with_503_too() -> None:
    sight = seen(GOOD | {"status": "fail", "output": "the disk is full"}, 503)
    assert (sight.status, sight.why, sight.answered) == (Health.FAIL, "the disk is full", True)


def test_another_wizards_answer_is_a_failure_that_says_whose_it_is() -> None:
    sight = seen(GOOD | {"serviceId": "bezalel"})
    assert sight.status is Health.FAIL
    assert not sight.answered
    assert "bezalel" in sight.why
    assert sight.release == ""


def test_the_same_name_in_another_fleet_is_somebody_else() -> None:
    assert "another fleet (prod)" in seen(GOOD | {"fleet": "prod"}).why


@pytest.mark.parametrize(
    "body",
    [b"", b"ok", b"<html>200 OK</html>", b"[]", b'"pass"', b"{}", b'{"status": "pass"}',
     b'{"status":"pass","serviceId":7}', b"[" * 5000, b"\xff\xfe", b'{"status": {}, "a": 1}'],
)  # fmt: skip
def test_another_program_that_says_200_is_a_failure(body: bytes) -> None:
    sight = seen(body)
    assert sight.status is Health.FAIL
    assert not sight.answered
    assert "something else" in sight.why


def test_a_daemon_of_ours_that_breaks_is_told_from_another_program() -> None:
    broke = problem(FleetError("the handler broke", mend="see the daemon's log"))
    sight = seen(broke.body, 500)
    assert (sight.status, sight.answered) == (Health.FAIL, False)
    assert sight.why == "fleet-agent answers there, not with its health: 500, the handler broke"
    busy = problem(TryAgain("2048 connections are open already"))
    assert "503, 2048 connections are open" in seen(busy.body, busy.status).why


@pytest.mark.parametrize("status", [200, 500, 503])
def test_a_health_answer_of_ours_that_is_broken_is_told_from_another_program(status: int) -> None:
    whole = ours()
    half = seen(whole[: len(whole) // 2], status)
    assert half.why.startswith(f"its health answer is broken: {status}, ")
    nameless = json.dumps({**json.loads(whole), "serviceId": None}).encode()
    assert seen(nameless, status).why.startswith(f"its health answer is broken: {status}, JSON")
    assert (half.status, half.answered) == (Health.FAIL, False)


@pytest.mark.parametrize("status", ["ok", "", None, 1, ["pass"], {"pass": 1}])
def test_a_status_that_is_none_is_a_failure(status: object) -> None:
    sight = seen(GOOD | {"status": status})
    assert sight.status is Health.FAIL
    assert "no status that we know" in sight.why


def test_pass_with_an_error_of_http_is_a_failure() -> None:
    sight = seen(GOOD, 500)
    assert (sight.status, sight.answered) == (Health.FAIL, True)
    assert "500" in sight.why


@pytest.mark.parametrize("checks", [None, [], {"uptime": []}, {"uptime": [{}]},
                                    {"uptime": [{"observedValue": True}]}])  # fmt: skip
def test_an_age_that_is_not_told_is_unknown(checks: object) -> None:
    assert seen(GOOD | {"checks": checks}).age_seconds is None


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "9" * 400, "-1", "1e11"])
def test_an_age_that_nobody_has_is_unknown_and_hides_no_other_wizard(number: str) -> None:
    body = json.dumps(GOOD).replace("12.5", number).encode()
    sight = seen(body)
    assert (sight.status, sight.age_seconds) == (Health.PASS, None)
    json.dumps(sight.age_seconds, allow_nan=False)
