import pytest

from fleet_agent.errors import RequestError
from fleet_agent.httpd.types import Headers, Peer, Request


def asked(query: tuple[tuple[str, str], ...]) -> Request:
    return Request("GET", "/f", "/f", query, Headers(), b"", Peer("tcp", "::1", 1), "gateway", {})


def test_headers_are_found_in_any_case() -> None:
    headers = Headers([("X-Gitea-Event", "push")])
    assert headers.get("x-gitea-event") == headers.get("X-GITEA-EVENT") == "push"
    assert "X-Gitea-event" in headers
    assert headers.get("X-Gitea") is None


def test_headers_given_several_times_are_joined_in_their_order() -> None:
    headers = Headers([("Via", "a"), ("X", "1"), ("via", "b")])
    assert headers.get("Via") == "a, b"
    assert list(headers) == [("via", "a"), ("x", "1"), ("via", "b")]
    assert len(headers) == 3


def test_the_repr_of_headers_shows_no_value() -> None:
    assert "hunter2" not in repr(Headers([("Authorization", "Bearer hunter2")]))


def test_a_query_value_is_the_one_that_was_given() -> None:
    request = asked((("capability", "x"), ("empty", "")))
    assert request.query_value("capability") == "x"
    assert request.query_value("empty") == ""
    assert request.query_value("other") is None


def test_a_query_value_given_twice_is_refused() -> None:
    with pytest.raises(RequestError) as raised:
        asked((("a", "1"), ("a", "2"))).query_value("a")
    assert raised.value.http_status == 400
