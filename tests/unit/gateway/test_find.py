"""GET /registry and GET /find."""

from __future__ import annotations

import json

import pytest

from fleet_agent.errors import RequestError
from fleet_agent.gateway.find import find_handler, registry_handler
from fleet_agent.httpd.types import Response
from tests.unit.gateway.gatewayparts import ELSEWHERE, request, serving


def ask(capability: str) -> Response:
    return find_handler(serving())(request("/find", query=(("capability", capability),)))


def test_finds_every_wizard_that_has_it_in_the_registrys_order() -> None:
    found = json.loads(ask("code-review").body)
    assert [one["name"] for one in found] == ["bezalel", "allegro"]
    assert set(found[0]) == {
        "name", "host", "role", "model", "health_endpoint", "capabilities",
    }  # fmt: skip
    assert found[1]["health_endpoint"] == "http://[2001:db8::12]:8646/health"


def test_nobody_is_an_empty_list_not_an_error() -> None:
    answer = ask("cooking")
    assert (answer.status, answer.body) == (200, b"[]")


@pytest.mark.parametrize("query", [(), (("capability", ""),), (("capabilty", "x"),)])
def test_without_the_parameter_it_is_400(query: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(RequestError) as caught:
        find_handler(serving())(request("/find", query=query))
    assert caught.value.http_status == 400
    assert "capability=NAME" in caught.value.mend


def test_the_registry_is_the_public_part_as_it_is() -> None:
    answer = registry_handler(serving())(request("/registry"))
    assert (answer.status, answer.body) == (200, b'{"v":1}')


def test_strangers_discover_nothing() -> None:
    asked = request("/find", query=(("capability", "code-review"),), peer=ELSEWHERE)
    assert find_handler(serving())(asked).status == 401
    assert registry_handler(serving())(request("/registry", peer=ELSEWHERE)).status == 401
    assert registry_handler(serving(unsigned=True))(request("/r", peer=ELSEWHERE)).status == 200
