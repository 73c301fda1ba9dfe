"""Ansible by hand: what its environment and inventory say."""

from __future__ import annotations

import shlex

from fleet_agent.registry.parse import parse
from fleet_agent.setup import byhand
from fleet_agent.setup.machines import Access, machines

FLEET = parse("""\
wizards:
  ezra:    {host: 192.0.2.10, role: orchestrator}
  bezalel: {host: "2001:db8::11", ssh: {port: 2222, proxy_jump: gate@192.0.2.10}}
  allegro: {host: 192.0.2.10, listen: {port: 8650}}
""")


def hosts(access: Access) -> dict[str, dict[str, object]]:
    found = byhand.inventory_of(machines(FLEET, access))["all"]["children"]
    assert found["orchestrator"]["hosts"] == {"192.0.2.10": {}}
    nodes: dict[str, dict[str, object]] = found["nodes"]["hosts"]
    return nodes


def test_a_node_is_reached_as_its_operator_logs_in() -> None:
    way = Access(
        {"": "op", "192.0.2.10": "root"},
        identity="/home/op/my key",
        options=("Compression=yes",),
        known_hosts="/ops/known hosts",
        config="/ops/.git/config",
    )
    ezra, bezalel = hosts(way).values()
    assert (ezra["ansible_user"], ezra["ansible_become"]) == ("root", False)
    assert ezra["fleet_wizards"] == ["ezra", "allegro"]
    assert (bezalel["ansible_user"], bezalel["ansible_become"]) == ("op", True)
    assert bezalel["ansible_host"] == "2001:db8::11"
    assert bezalel["ansible_port"] == 2222
    assert bezalel["ansible_ssh_private_key_file"] == "/home/op/my key"
    words = shlex.split(str(bezalel["ansible_ssh_common_args"]))
    assert words[:2] == ["-F", "/ops/.git/config"]
    assert set(words[3::2]) == {
        "Compression=yes",
        'UserKnownHostsFile="/ops/known hosts"',
        "HostKeyAlias=[2001:db8::11]:2222",
        "ProxyJump=gate@192.0.2.10",
    }


def test_without_a_user_ssh_s_own_configuration_says_who_logs_in() -> None:
    ezra, _ = hosts(Access({}, default_user="")).values()
    assert "ansible_user" not in ezra
    assert ezra["ansible_become"] is True


def test_a_shell_takes_the_environment_whatever_is_in_the_paths() -> None:
    values = byhand.environment(
        "/my ops", "/it's/playbooks", "/i.yml", python="/usr/bin/python3", code="/code", nodes=60
    )
    lines = byhand.shell_lines(values)
    assert [shlex.split(line)[1].split("=", 1) for line in lines] == [
        [*one] for one in values.items()
    ]
    assert values["ANSIBLE_FORKS"] == "60"
    assert values["ANSIBLE_ROLES_PATH"] == "/it's/playbooks/roles"
