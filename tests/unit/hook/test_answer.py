"""What the forge is answered."""

from __future__ import annotations

import json

import pytest

from fleet_agent.errors import FleetError, RequestError, TryAgain
from fleet_agent.hook import answer


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"status": "queued", "state": "queued"}, 202),
        ({"status": "folded", "state": "queued"}, 202),
        ({"status": "folded", "state": "running"}, 200),
        ({"status": "folded", "state": "verified"}, 200),
        ({"status": "repeated", "state": "queued"}, 200),
        ({"status": "repeated", "state": "failed"}, 200),
    ],
)
def test_only_what_will_still_be_deployed_is_202(said: dict[str, str], status: int) -> None:
    response = answer.submitted({"ok": True, "deploy": 7, **said})
    assert response.status == status
    value = json.loads(response.body)
    assert (value["deploy"], value["state"]) == (7, said["state"])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TryAgain("busy"), 503),
        (FleetError("the disk is full"), 503),
        (RequestError("no", status=403), 403),
    ],
)
def test_what_is_not_queued_is_503_with_the_reason_unless_it_is_refused(
    error: FleetError, status: int
) -> None:
    response = answer.not_queued(error)
    assert response.status == status
    assert error.what in json.loads(response.body)["detail"]
    assert (("Retry-After", "1") in response.headers) is (status == 503)
