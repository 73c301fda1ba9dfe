"""Single texts of the registry: what is taken, in which spelling, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.registry import rules
from fleet_agent.yamlfile.spot import Wrong

TAKEN: list[tuple[Callable[[str], object], str, object]] = [
    (rules.name, "a", "a"),
    (rules.name, "ezra-primary", "ezra-primary"),
    (rules.name, "a" * 29, "a" * 29),
    (rules.host, "EZRA.Example.org.", "ezra.example.org"),
    (rules.host, "my_vps", "my_vps"),
    (rules.host, "localhost", "localhost"),
    (rules.host, "192.0.2.10", "192.0.2.10"),
    (rules.host, "2001:DB8:0:0::1", "2001:db8::1"),
    (rules.host, "[2001:db8::1]", "2001:db8::1"),
    (rules.host, "::ffff:192.0.2.1", "192.0.2.1"),
    (rules.host, "fe80::1%eth0", "fe80::1%eth0"),
    (rules.address, "0.0.0.0", "0.0.0.0"),
    (rules.mode, "0640", 0o640),
    (rules.mode, "640", 0o640),
    (rules.user, "_svc-1", "_svc-1"),
    (rules.user, "root", "root"),
    (rules.capability, "ansible-deploy", "ansible-deploy"),
    (rules.tool_name, "run_tests-2", "run_tests-2"),
    (rules.unit, "hermes@main.service", "hermes@main.service"),
    (rules.place, "/home/ezra/.hermes/config.yaml", "/home/ezra/.hermes/config.yaml"),
    (rules.place, "/etc/systemd-like", "/etc/systemd-like"),
    (rules.source, "souls/ezra.md", "souls/ezra.md"),
    (rules.git_ref, "release/1.2", "release/1.2"),
    (rules.tag, "PROD", "PROD"),
    (rules.tag, "prod-[0-9]*", "prod-[0-9]*"),
    (rules.proxy_jump, "me@gate.example.org:22,[2001:db8::1]:2222",
     "me@gate.example.org:22,[2001:db8::1]:2222"),
    (rules.repository, "git@git.example.org:ops/fleet.git", "git@git.example.org:ops/fleet.git"),
    (rules.repository, "ssh://git@git.example.org:2222/x", "ssh://git@git.example.org:2222/x"),
    (rules.repository, "https://git.example.org/x.git", "https://git.example.org/x.git"),
    (rules.repository, "git@[2001:db8::1]:x.git", "git@[2001:db8::1]:x.git"),
    (rules.repository, "/srv/git/fleet.git", "/srv/git/fleet.git"),
    (rules.repository, "file:///srv/git/fleet.git", "file:///srv/git/fleet.git"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text", "value"), TAKEN)
def test_takes(rule: Callable[[str], object], text: str, value: object) -> None:
    assert rule(text) == value


REFUSED: list[tuple[Callable[[str], object], list[str]]] = [
    (rules.name, ["", "A", "-a", "1", "a_b", "a" * 30, "a.b", "a\n"]),
    (rules.host, ["", "-a", "-oProxyCommand=x", "a b", "a..b", ".a", "a-", "a/b", "a;b", "é",
                  "me@h", "h:22", "[::1]:22", "::", "0.0.0.0", "ff02::1", "224.0.0.1", "1.2.3",
                  "192.0.2.010", "256.1.1.1", "12", "²", "a" * 64, "2001:db8::g",
                  "fe80::1%-x y"]),
    (rules.address, ["h", "1.2.3", "[::1", "::1]", "192.0.2.1/24", "fe80::1%a b"]),
    (rules.url, ["", "h", "//h/", "ftp://h/", "http://", "http:///x", "http://h:0/", "http://h:/",
                 "http://h:x/", "http://h:65536/", "http://a b/", "http://h/#x", "http://::1/",
                 "http://[::1/", "http://[h]/", "http://-h/", "http://me@h/", "http://a:b@h/",
                 "http://h/a b", 'http://h/"', "javascript:alert(1)"]),
    (rules.health_url, ["http://h:8646", "http://h:8646/"]),
    (rules.local_url, ["http://192.0.2.1/in", "http://localhost/in", "https://127.0.0.1/in",
                       "http://[2001:db8::1]/in", "http://0.0.0.0/in", "http://me@127.0.0.1/"]),
    (rules.wizard, ["node", "hook", "testing", "A", ""]),
    (rules.user, ["", "A", "-x", "1a", "a b", "a" * 33, "fa-ezra", "fleet-deploy", "a:b",
                  "fleet"]),
    (rules.capability, ["", "a b", "-a", "é", "a" * 65]),
    (rules.tool_name, ["", "a b", "1a", "a/b", "a" * 65]),
    (rules.place, ["", "a", "~/a", "/", "/a/", "//a", "/a//b", "/a/./b", "/a/../b", "/etc/sudoers",
                   "/etc/sudoers.d/x", "/etc/fleet-agent", "/opt/fleet-agent/current",
                   "/var/lib/fleet-agent/x", "/run/fleet-agent/x", "/etc/systemd/system/x.service",
                   "/usr/lib/systemd/system/x", "/etc/passwd", "/root/.ssh/authorized_keys",
                   "/home/ezra/.ssh/authorized_keys", "/proc/1/x", "/dev/sda"]),
    (rules.source, ["/a", "../a", "a/../../b", "a/..", "./a", "a//b", "a/", "~/a", ".git/config"]),
    (rules.mode, ["", "0", "888", "4755", "01777", "rw-r--r--", "0o640", "-644"]),
    (rules.unit, ["", "hermes", "hermes.timer", "a/b.service", "a b.service", "../x.service",
                  "fleet-agent@ezra.service", "fleet-deploy.service", "a" * 260 + ".service"]),
    (rules.git_ref, ["", "-x", "a..b", "refs/tags/x", "a b", "a/", "x.lock", "a~1", "a^", "@{u}"]),
    (rules.git_ref, ["release-*", "a?", "a[b]"]),
    (rules.tag, ["", "-x", "a..b", "refs/tags/x", "refs/tags/*", "a b"]),
    (rules.proxy_jump, ["", "-oX=y", "h:0", "h:99999", "h:x", "h:²", "a b", "h,", "-u@h"]),
    (rules.repository, ["", "-x", "ext::sh -c x", "ext::sh", "fd::3", "http:", "ftp://h/x", "x",
                        "https://me:pw@h/x", "https://token@h/x", "ssh://a:b@h/x", "h:-x", "a b"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "text"), [(rule, text) for rule, texts in REFUSED for text in texts]
)
def test_refuses(rule: Callable[[str], object], text: str) -> None:
    with pytest.raises(Wrong):
        rule(text)


@given(st.ip_addresses(v=6))
def test_every_ipv6_address_has_one_spelling(address: object) -> None:
    import ipaddress

    assert isinstance(address, ipaddress.IPv6Address)
    spelt = {rules.address(text) for text in (str(address), address.exploded, f"[{address}]")}
    assert len(spelt) == 1
    assert rules.address(spelt.pop()) in {str(address), str(address.ipv4_mapped)}


@given(st.sampled_from([rule for rule, _ in REFUSED]), st.text(max_size=30))
def test_any_text_is_taken_or_wrong(rule: Callable[[str], object], text: str) -> None:
    try:
        rule(text)
    except Wrong as error:
        assert error.what
