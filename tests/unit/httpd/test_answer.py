import json

import pytest

from fleet_agent.errors import FleetError, NodeError, RequestError, TryAgain
from fleet_agent.httpd.answer import json_response, problem, refuse


def test_json_is_compact_and_utf8() -> None:
    response = json_response(202, {"id": "é", "n": [1, None]})
    assert (response.status, response.content_type) == (202, "application/json")
    assert response.body == '{"id":"é","n":[1,null]}'.encode()


def test_a_lone_surrogate_stays_valid_json() -> None:
    assert json.loads(json_response(200, "\ud800").body) == "\ud800"


def test_what_json_cannot_say_is_a_bug() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_response(200, float("nan"))


def test_a_problem_says_what_where_and_how_to_mend_it() -> None:
    error = RequestError("no 'to'", status=422, where="message", mend="name a wizard")
    response = problem(error)
    assert (response.status, response.content_type) == (422, "application/problem+json")
    assert json.loads(response.body) == {
        "type": "tag:fleet-agent,2026:request-refused",
        "title": "request refused",
        "status": 422,
        "detail": "no 'to'",
        "where": "message",
        "mend": "name a wizard",
    }


def test_a_problem_leaves_out_what_is_not_known_and_takes_members_of_the_callers() -> None:
    value = json.loads(problem(FleetError("broken"), extra={"id": "7"}).body)
    assert "where" not in value
    assert "mend" not in value
    assert (value["status"], value["id"]) == (500, "7")


def test_an_error_that_may_go_away_says_when_to_come_back() -> None:
    assert dict(problem(TryAgain("full")).headers) == {"Retry-After": "1"}
    assert problem(NodeError("gone")).headers == ()


def test_a_refusal_needs_no_exception() -> None:
    response = refuse(405, "not for this", headers=(("Allow", "GET"),))
    assert (response.status, response.headers) == (405, (("Allow", "GET"),))
    assert json.loads(response.body)["status"] == 405
