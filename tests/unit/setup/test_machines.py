"""The registry's nodes as the operator and the orchestrator log in to them."""

from __future__ import annotations

import pytest

from fleet_agent.errors import ConfigError
from fleet_agent.registry import parse
from fleet_agent.setup.bootstrap import deploy_way
from fleet_agent.setup.machines import (
    Access,
    foreign_jumps,
    jump_users,
    key_options,
    machines,
    orchestrator_of,
    parse_hop,
    parse_users,
)

FLEET = parse.parse(
    """\
wizards:
  ezra: {host: 192.0.2.10, role: orchestrator}
  miriam: {host: 192.0.2.10, listen: {port: 8647}}
  bezalel: {host: 192.0.2.11, ssh: {user: ops, port: 2222}}
  allegro: {host: "fd00::3", ssh: {proxy_jump: "root@192.0.2.10"}}
  solon: {host: 10.0.0.9, ssh: {proxy_jump: "jump@bastion.example.org:2200"}}
""",
    "fleet.yaml",
)


def test_one_machine_a_node_with_all_its_wizards() -> None:
    fleet = machines(FLEET, Access({}))
    assert [machine.label for machine in fleet] == ["ezra+miriam", "bezalel", "allegro", "solon"]
    assert orchestrator_of(fleet).host == "192.0.2.10"
    assert [machine.deploy_user for machine in fleet] == ["fleet", "ops", "fleet", "fleet"]


def test_the_operator_logs_in_by_port_jump_key_and_options() -> None:
    access = Access({"": "root", "fd00::3": "admin"}, "/k", ("Compression=yes",), "/d/known_hosts")
    by_label = {machine.label: machine.login for machine in machines(FLEET, access)}
    words = " ".join(by_label["bezalel"].argv())
    assert words.startswith("ssh -T -o Compression=yes -o BatchMode=yes")
    assert words.endswith("-i /k -l root -p 2222 -- 192.0.2.11")
    assert 'UserKnownHostsFile="/d/known_hosts"' in by_label["bezalel"].argv()
    assert "HostKeyAlias=[192.0.2.11]:2222" in by_label["bezalel"].argv()
    assert "ProxyJump=root@192.0.2.10" in by_label["allegro"].argv()
    assert by_label["allegro"].command("id", "-u")[-2:] == ["fd00::3", "sudo -n -- id -u"]
    assert by_label["ezra+miriam"].command("echo", "a b")[-1] == "echo 'a b'"


def test_without_a_user_the_registry_or_ssh_says_who_logs_in() -> None:
    first, second, *_ = machines(FLEET, Access({}, default_user=""))
    assert "-l" not in first.login.argv()
    assert second.login.user == "ops"


def test_the_orchestrator_logs_in_as_the_deploy_user() -> None:
    way = deploy_way(machines(FLEET, Access({"": "root"}))[1])
    assert way[-6:] == ["-l", "ops", "-p", "2222", "--", "192.0.2.11"]


def test_its_key_may_forward_only_where_others_lie_behind() -> None:
    fleet = machines(FLEET, Access({}))
    assert key_options(fleet[0], fleet) == 'restrict,port-forwarding,permitopen="[fd00::3]:22"'
    assert key_options(fleet[1], fleet) == "restrict"


def test_jump_hosts_that_are_no_nodes_are_known() -> None:
    assert foreign_jumps(machines(FLEET, Access({}))) == ("jump@bastion.example.org:2200",)


def test_users_are_named_for_all_or_for_one() -> None:
    assert parse_users(["admin", "192.0.2.1=root", "fd00::3=ubuntu"]) == {
        "": "admin",
        "192.0.2.1": "root",
        "fd00::3": "ubuntu",
    }


@pytest.mark.parametrize("text", ["", "=", "host=", "-x", "a b", "host=-oProxyCommand=x"])
def test_what_is_no_user_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_users([text])


def test_users_that_only_pass_through_are_known_apart_from_the_deploy_user() -> None:
    fleet = machines(FLEET, Access({}))
    assert jump_users(fleet[0], fleet) == ("root",)
    assert jump_users(fleet[1], fleet) == ()
    assert parse_hop("192.0.2.10:22") == ("", "192.0.2.10")
    assert parse_hop("root@[fd00::1]:22") == ("root", "fd00::1")
