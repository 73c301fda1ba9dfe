"""Machines as people name them on the command line."""

from __future__ import annotations

import pytest

from fleet_agent.errors import ConfigError
from fleet_agent.setup.names import NAMES, wizard_names
from fleet_agent.setup.target import Target, parse_target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("root@192.0.2.10", Target("192.0.2.10")),
        ("192.0.2.10", Target("192.0.2.10")),
        ("admin@node-1.example.org:2222", Target("node-1.example.org", "admin", 2222)),
        ("root@[2001:db8::1]:2222", Target("2001:db8::1", "root", 2222)),
        ("[2001:db8::1]", Target("2001:db8::1")),
        ("ubuntu@2001:db8::1", Target("2001:db8::1", "ubuntu")),
    ],
)
def test_what_people_write_is_understood(text: str, target: Target) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "text",
    ["", "@", "root@", "@host", "-oProxyCommand=x", "root@-x", "a b", "host:", "host:0",
     "host:65536", "host:ssh", "root@[::1", "Root@host", "ro ot@host", "host;id", "[x]:22"],
)  # fmt: skip
def test_what_ssh_could_take_for_something_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_target(text)


def test_names_are_distinct_and_fit_the_registry() -> None:
    names = wizard_names(len(NAMES) + 5)
    assert len(set(names)) == len(names) == len(NAMES) + 5
    assert names[-1] == f"wizard-{len(NAMES) + 5}"
    assert wizard_names(3) == ("ezra", "bezalel", "allegro")
