"""A registry answers: by name with the near miss, its orchestrator, its nodes in order."""

from __future__ import annotations

import pytest

from fleet_agent.limits import BY_NAME
from fleet_agent.registry import lookup, schema
from fleet_agent.registry.parse import parse
from fleet_agent.registry.schema import NotFound, Registry

FLEET = parse("""\
wizards:
  ezra: {host: 192.0.2.2, role: orchestrator, capabilities: [a]}
  bezalel: {host: 192.0.2.1, capabilities: [b, a]}
  allegro: {host: 192.0.2.2, listen: {port: 8650}}
""")


def test_a_wizard_by_name() -> None:
    assert FLEET.wizard("bezalel").host == "192.0.2.1"


def test_a_name_that_is_not_there_gets_its_near_miss_and_404() -> None:
    with pytest.raises(NotFound) as caught:
        FLEET.wizard("bezalal")
    assert caught.value.http_status == 404
    assert caught.value.mend == "did you mean 'bezalel'?"


def test_nodes_come_in_the_order_of_the_file_each_with_its_wizards() -> None:
    nodes = {host: [wizard.name for wizard in wizards] for host, wizards in FLEET.nodes.items()}
    assert list(nodes.items()) == [("192.0.2.2", ["ezra", "allegro"]), ("192.0.2.1", ["bezalel"])]


def test_a_registry_without_an_orchestrator_says_so() -> None:
    with pytest.raises(NotFound):
        _ = Registry("x", ()).orchestrator


def test_registries_that_say_the_same_are_equal() -> None:
    assert Registry(FLEET.fleet, FLEET.wizards) == FLEET
    assert Registry("other", FLEET.wizards) != FLEET
    assert Registry(FLEET.fleet, FLEET.wizards, unsigned=True) != FLEET
    assert (FLEET == 3) is False


def test_find_keeps_the_order_and_matches_whole_names() -> None:
    assert [wizard.name for wizard in lookup.find(FLEET, "a")] == ["ezra", "bezalel"]
    assert lookup.find(FLEET, "") == ()


def test_every_limit_that_people_may_set_has_one_key() -> None:
    deploy = schema.deploy_limit_keys()
    assert set(deploy.values()) | set(schema.setting_keys()) == {
        name for name, limit in BY_NAME.items() if limit.scope != "file"
    }
    assert not set(deploy) & set(schema.DEPLOY_KEYS)
    assert deploy["confirm_seconds"] == "deploy_confirm_seconds"


def test_a_health_url_has_brackets_around_ipv6() -> None:
    assert schema.health_url("2001:db8::1", 8650) == "http://[2001:db8::1]:8650/health"
    assert schema.health_url("ezra") == "http://ezra:8646/health"
