import json

import pytest

from fleet_agent.httpd.router import Match, Route, Router
from fleet_agent.httpd.types import Request, Response


def handler(request: Request) -> Response:
    return Response(200)


def other(request: Request) -> Response:
    return Response(201)


ROUTER = Router(
    [
        Route("GET", "/health", handler),
        Route("POST", "/message", handler),
        Route("POST", "/", handler),
        Route("POST", "/hook/{forge}", other, body_limit="hook_body_bytes"),
        Route("POST", "/hook/test", handler),
        Route("GET", "/tools/{name}", handler),
        Route("POST", "/tools/{name}", other),
    ]
)


def match(method: str, path: str) -> Match:
    found = ROUTER.find(method, path)
    assert isinstance(found, Match), found
    return found


def answer(method: str, path: str) -> Response:
    found = ROUTER.find(method, path)
    assert isinstance(found, Response), found
    return found


def test_a_literal_path_finds_its_route() -> None:
    assert match("GET", "/health").route.pattern == "/health"
    assert match("POST", "/").route.pattern == "/"


def test_a_pattern_takes_one_segment_decoded() -> None:
    found = match("POST", "/hook/git%20ea%2Fx")
    assert (found.route.handler, found.params) == (other, {"forge": "git ea/x"})


def test_a_literal_path_goes_before_a_pattern() -> None:
    assert match("POST", "/hook/test").route.pattern == "/hook/test"


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/health/",
        "//health",
        "/hook",
        "/hook/",
        "/hook/a/b",
        "/health/..",
        "/Health",
        "",
        "*",
    ],
)
def test_any_other_path_is_not_found(path: str) -> None:
    assert answer("GET", path).status == 404


def test_another_method_is_told_which_are_allowed() -> None:
    response = answer("DELETE", "/tools/x")
    assert (response.status, dict(response.headers)) == (405, {"Allow": "GET, HEAD, OPTIONS, POST"})
    assert json.loads(response.body)["mend"] == "use GET, HEAD, OPTIONS, POST"
    assert dict(answer("GET", "/message").headers) == {"Allow": "OPTIONS, POST"}


def test_head_is_answered_by_get_and_only_there() -> None:
    assert match("HEAD", "/health").route.method == "GET"
    assert answer("HEAD", "/message").status == 405


def test_options_says_what_is_allowed() -> None:
    response = answer("OPTIONS", "/health")
    assert (response.status, response.body) == (204, b"")
    assert dict(response.headers) == {"Allow": "GET, HEAD, OPTIONS"}
    assert answer("OPTIONS", "*").status == 204


def test_the_body_limit_is_the_routes_own() -> None:
    assert ROUTER.body_limit("POST", "/hook/gitea") == "hook_body_bytes"
    assert ROUTER.body_limit("POST", "/message") == "http_body_bytes"
    assert ROUTER.body_limit("POST", "/nothing") == "http_body_bytes"


def test_two_routes_for_the_same_are_a_bug() -> None:
    with pytest.raises(ValueError, match="two routes"):
        Router([Route("GET", "/a", handler), Route("GET", "/a", other)])
