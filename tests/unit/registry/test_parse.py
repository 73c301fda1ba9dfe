"""fleet.yaml: what is taken, with which defaults, and every mistake with line, key and mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet_agent.registry.parse import RegistryError, load, parse
from fleet_agent.registry.schema import (
    DeployRules,
    FileSpec,
    Handler,
    Listen,
    Runtime,
    Soul,
    Ssh,
    Tool,
)
from fleet_agent.wire import Role

SMALLEST = """\
wizards:
  ezra:    {host: 192.0.2.10, role: orchestrator}
  bezalel: {host: 192.0.2.11}
  allegro: {host: 192.0.2.12}
"""

PAPER = """\
wizards:
  ezra-primary:
    host: 192.0.2.10
    role: orchestrator
    model: google/gemma-4-31b-it
    health_endpoint: http://192.0.2.10:8646/health
    capabilities: [ansible-deploy, webhook-receiver]
"""

FULL = """\
fleet: timmy
unsigned: allow
settings: {http_connections: 100, message_hops: 3}
deploy:
  repository: git@git.example.org:ops/fleet.git
  tag: LIVE
  branch: release/1
  hook_port: 9877
  settle_seconds: 1
  status_seconds: 2
wizards:
  ezra-primary:
    host: 192.0.2.10
    role: orchestrator
    region: eu
    model: google/gemma-4-31b-it
    health_endpoint: "https://ezra.example.org/health"
    listen: {port: 8647}
    capabilities: [ansible-deploy]
    user: ezra
    soul: {file: souls/ezra.md, place: /home/ezra/.hermes/SOUL.md}
    files:
      - {source: agents/a.j2, place: /home/ezra/a, mode: "0600", secret: true}
      - {source: agents/b, place: /home/ezra/b}
    state: [/home/ezra/memories]
    runtime: {command: [/opt/ezra/bin/agent, "8080"]}
    handlers: {request: {exec: [/opt/a]}, alert: {http: "http://127.0.0.1:9000/in"}}
    tools: {run-tests: {exec: [make, test], cwd: /srv/work, timeout: 600, input: {type: object}}}
    probes: {model: {openai: "http://127.0.0.1:8080/v1"}, canary: {ask: "2+2?", expect: "4"}}
    ssh: {user: deploy, port: 2222, proxy_jump: "me@gate:22"}
    settings: {message_hops: 4}
  other: {host: 192.0.2.10, listen: {port: 8650}, runtime: {unit: x@y.service, scope: user}}
"""


def entry(text: str, name: str = "w") -> str:
    """A registry with an orchestrator and, from line 3, another entry."""
    return f"wizards:\n  ezra: {{host: 192.0.2.1, role: orchestrator}}\n  {name}: {text}\n"


class TestTakes:
    def test_the_smallest_registry(self) -> None:
        registry = parse(SMALLEST)
        assert registry.fleet == "fleet"
        assert [wizard.name for wizard in registry.wizards] == ["ezra", "bezalel", "allegro"]
        assert list(registry.nodes) == ["192.0.2.10", "192.0.2.11", "192.0.2.12"]
        assert registry.orchestrator.name == "ezra"
        assert (registry.deploy, registry.unsigned) == (DeployRules(), False)
        bezalel = registry.wizard("bezalel")
        assert bezalel.role is Role.WORKER
        assert bezalel.listen == Listen("192.0.2.11", 8646)
        assert bezalel.health_endpoint == "http://192.0.2.11:8646/health"
        assert (bezalel.user, bezalel.ssh, bezalel.model) == ("bezalel", Ssh(), "")

    def test_the_papers_five_keys(self) -> None:
        wizard = parse(PAPER).orchestrator
        assert wizard.name == "ezra-primary"
        assert wizard.model == "google/gemma-4-31b-it"
        assert wizard.listen == Listen("192.0.2.10", 8646)
        assert wizard.capabilities == ("ansible-deploy", "webhook-receiver")

    def test_every_key(self) -> None:
        registry = parse(FULL)
        assert (registry.fleet, registry.unsigned) == ("timmy", True)
        assert registry.deploy == DeployRules(
            "git@git.example.org:ops/fleet.git",
            "LIVE",
            "release/1",
            9877,
            {"deploy_settle_seconds": 1.0, "status_seconds": 2.0},
        )
        ezra, other = registry.wizards
        assert ezra.health_endpoint == "https://ezra.example.org/health"
        assert ezra.listen == Listen("192.0.2.10", 8647)
        assert ezra.soul == Soul("souls/ezra.md", "/home/ezra/.hermes/SOUL.md")
        assert ezra.files == (
            FileSpec("agents/a.j2", "/home/ezra/a", 0o600, True),
            FileSpec("agents/b", "/home/ezra/b", 0o640, False),
        )
        assert ezra.state == ("/home/ezra/memories",)
        assert ezra.runtime == Runtime(command=("/opt/ezra/bin/agent", "8080"))
        assert ezra.handlers == {
            "request": Handler(exec=("/opt/a",)),
            "alert": Handler(http="http://127.0.0.1:9000/in"),
        }
        assert ezra.tools == {
            "run-tests": Tool(("make", "test"), "/srv/work", 600.0, {"type": "object"})
        }
        assert ezra.probes == {
            "model": {"openai": "http://127.0.0.1:8080/v1"},
            "canary": {"ask": "2+2?", "expect": "4"},
        }
        assert ezra.ssh == Ssh("deploy", 2222, "me@gate:22")
        assert ezra.settings == {"http_connections": 100, "message_hops": 4}
        assert other.settings == {"http_connections": 100, "message_hops": 3}
        assert other.runtime == Runtime(unit="x@y.service", scope="user")

    def test_what_one_entry_says_of_ssh_holds_for_its_host(self) -> None:
        registry = parse(FULL)
        assert registry.wizard("other").ssh == registry.wizard("ezra-primary").ssh

    def test_a_soul_may_be_just_the_file(self) -> None:
        wizard = parse(entry("{host: 192.0.2.2, soul: souls/w.md}")).wizard("w")
        assert wizard.soul == Soul("souls/w.md")

    def test_aliases_within_bounds(self) -> None:
        text = "wizards:\n  a: &a {host: 192.0.2.1, role: orchestrator, ssh: &s {port: 23}}\n"
        assert parse(text + "  b: {host: 192.0.2.2, ssh: *s}\n").wizard("b").ssh.port == 23

    @pytest.mark.parametrize(
        "host",
        ['"2001:db8::1"', "2001:db8::1", '"[2001:db8::1]"', "[2001:db8::1]", "2001:DB8:0:0::1"],
    )
    def test_ipv6_in_every_spelling_is_one_node(self, host: str) -> None:
        text = f"wizards:\n  w:\n    role: orchestrator\n    host: {host}\n"
        registry = parse(text + "  other: {host: '2001:db8::1', listen: {port: 8650}}\n")
        assert list(registry.nodes) == ["2001:db8::1"]
        assert registry.wizard("w").listen == Listen("2001:db8::1", 8646)
        assert registry.wizard("w").health_endpoint == "http://[2001:db8::1]:8646/health"

    def test_ipv6_in_a_health_endpoint(self) -> None:
        text = "{host: '2001:db8::1', health_endpoint: 'http://[2001:db8::1]:8650/health'}"
        assert parse(entry(text)).wizard("w").listen == Listen("2001:db8::1", 8650)

    def test_two_spellings_of_a_name_are_one_node(self) -> None:
        text = entry("{host: EZRA.example.org., listen: {address: 192.0.2.1, port: 8650}}")
        named = "ezra.example.org, listen: {address: 192.0.2.1},"
        registry = parse(text.replace("host: 192.0.2.1,", f"host: {named}"))
        assert list(registry.nodes) == ["ezra.example.org"]

    def test_a_host_with_a_name_binds_the_address_that_is_said(self) -> None:
        text = "{host: w.example.org, listen: {address: 192.0.2.2}}"
        wizard = parse(entry(text)).wizard("w")
        assert wizard.listen == Listen("192.0.2.2", 8646)
        assert wizard.health_endpoint == "http://w.example.org:8646/health"

    @pytest.mark.parametrize("address", ["192.0.2.2", "2001:db8::2"])
    def test_a_host_with_a_name_binds_the_address_of_its_health_endpoint(
        self, address: str
    ) -> None:
        at = f"[{address}]" if ":" in address else address
        text = f"{{host: w.example.org, health_endpoint: 'http://{at}:8650/health'}}"
        assert parse(entry(text)).wizard("w").listen == Listen(address, 8650)

    def test_the_same_port_on_two_addresses_of_one_node(self) -> None:
        registry = parse(entry("{host: 192.0.2.1, listen: {address: 192.0.2.9}}"))
        assert len(registry.nodes) == 1

    def test_the_same_loopback_port_on_two_nodes(self) -> None:
        text = (
            "wizards:\n  a: {host: 192.0.2.1, role: orchestrator, listen: {address: 127.0.0.1}}\n"
        )
        assert (
            len(parse(text + "  b: {host: 192.0.2.2, listen: {address: 127.0.0.1}}\n").nodes) == 2
        )

    def test_the_same_wildcard_on_two_nodes(self) -> None:
        text = "wizards:\n  a: {host: 192.0.2.1, role: orchestrator, listen: {address: 0.0.0.0}}\n"
        assert len(parse(text + "  b: {host: 192.0.2.2, listen: {address: 0.0.0.0}}\n").nodes) == 2


class TestLoad:
    def test_souls_and_files_must_lie_beside_it(self, tmp_path: Path) -> None:
        (tmp_path / "souls").mkdir()
        (tmp_path / "souls" / "w.md").write_text("be kind")
        (tmp_path / "outside").symlink_to("/etc/hostname")
        path = tmp_path / "fleet.yaml"
        text = "{host: 192.0.2.9, soul: souls/w.md, files: [{source: outside, place: /a}]}"
        path.write_text(entry(text))
        with pytest.raises(RegistryError) as caught:
            load(str(path))
        (found,) = caught.value.mistakes
        assert (found.key, found.line) == ("wizards.w.files[0].source", 3)
        assert "led out of the repository by a link" in found.what
        assert load(str(path), sources=False).wizard("w").soul == Soul("souls/w.md")

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(RegistryError) as caught:
            load(str(tmp_path / "fleet.yaml"))
        assert "No such file" in caught.value.mistakes[0].what

    def test_a_file_that_is_too_large(self, tmp_path: Path) -> None:
        path = tmp_path / "fleet.yaml"
        with path.open("wb") as out:
            out.truncate(17 * 1024 * 1024)
        with pytest.raises(RegistryError) as caught:
            load(str(path))
        assert "is larger than" in caught.value.mistakes[0].what
