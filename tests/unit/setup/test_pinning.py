"""Whose host keys are pinned: nodes, jump hosts, and a forge that is reached over ssh."""

from __future__ import annotations

import pytest

from fleet_agent.registry import parse
from fleet_agent.setup.machines import Access, machines
from fleet_agent.setup.pinning import forge_of, logins_to_pin
from fleet_agent.setup.target import Target


@pytest.mark.parametrize(
    ("repository", "forge"),
    [
        ("git@forge.example.org:ops/fleet-ops.git", Target("forge.example.org", "git")),
        ("forge.example.org:fleet-ops.git", Target("forge.example.org", "git")),
        ("ssh://gitea@forge:2222/ops/x.git", Target("forge", "gitea", 2222)),
        ("ssh://git@[fd00::1]:2222/x.git", Target("fd00::1", "git", 2222)),
        ("https://forge.example.org/ops/x.git", None),
        ("/srv/git/x.git", None),
        ("./x:y", None),
        ("", None),
    ],
)
def test_a_forge_has_a_host_key_where_ssh_reaches_it(repository: str, forge: Target | None) -> None:
    assert forge_of(repository) == forge


def test_all_that_the_orchestrator_speaks_ssh_to_is_pinned() -> None:
    registry = parse.parse(
        "wizards:\n"
        "  ezra: {host: 192.0.2.10, role: orchestrator}\n"
        "  solon: {host: 10.0.0.9, ssh: {proxy_jump: 'jump@bastion:2200'}}\n",
        "fleet.yaml",
    )
    logins = logins_to_pin(machines(registry, Access({})), "git@forge:ops/x.git")
    assert [login.host_key_name for login in logins] == [
        "192.0.2.10", "10.0.0.9", "[bastion]:2200", "forge",
    ]  # fmt: skip
    assert [login.proxy_jump for login in logins] == ["", "jump@bastion:2200", "", ""]
