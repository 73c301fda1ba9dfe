"""Every mistake of fleet.yaml: one run shows all, each with line, key, what and mend."""

from __future__ import annotations

import re

import pytest

from fleet_agent.errors import EXIT_USAGE
from fleet_agent.registry.parse import RegistryError, parse

SMALLEST = """\
wizards:
  ezra:    {host: 192.0.2.10, role: orchestrator}
  bezalel: {host: 192.0.2.11}
  allegro: {host: 192.0.2.12}
"""


def entry(text: str, name: str = "w") -> str:
    """A registry with an orchestrator and, from line 3, another entry; ``h`` is an address."""
    said = re.sub("host: h(?=[,}])", "host: 192.0.2.9", text)
    return f"wizards:\n  ezra: {{host: 192.0.2.1, role: orchestrator}}\n  {name}: {said}\n"


def mistakes_of(
    text: str | bytes, repository: str | None = None
) -> list[tuple[int, str, str, str]]:
    with pytest.raises(RegistryError) as caught:
        parse(text, repository=repository)
    assert caught.value.exit_code == EXIT_USAGE
    return [(found.line, found.key, found.what, found.mend) for found in caught.value.mistakes]


# The entry stands on line 3; a mistake in the top level is written out whole.
MISTAKES = [
    # shape of the file
    ("", 0, "", "is empty"),
    ("- a\n- b\n", 1, "", "must be a mapping, is a list"),
    ("just text\n", 1, "", "must be a mapping, is 'just text'"),
    ("fleet: x\n", 1, "wizards", "is missing"),
    ("wizards: {}\n", 1, "wizards", "has no wizard"),
    ("wizards: [a]\n", 1, "wizards", "must be a mapping, is a list"),
    ("wizards:\n", 1, "wizards", "must be a mapping, is nothing"),
    ("wizards:\n\ta: {}\n", 2, "", "is indented with a tab"),
    (b"wizards: {a\xe9: }", 1, "", "is not UTF-8 text"),
    ("wizards: \ud800", 1, "", "is not UTF-8 text"),
    # orchestrators and names
    ("wizards: {a: {host: 192.0.2.9}}", 1, "wizards", "no wizard is the orchestrator"),
    (entry("{host: h, role: orchestrator}"), 3, "wizards.w.role",
     "a second orchestrator; the first is ezra"),
    (entry("{host: h}", "W"), 3, "wizards.W", "'W' is no name"),
    (entry("{host: h}", "1a"), 3, "wizards.1a", "'1a' is no name"),
    (entry("{host: h}", "a" * 30), 3, f"wizards.{'a' * 30}", f"'{'a' * 30}' is no name"),
    (entry("{host: h}", "ezra"), 3, "wizards", "the key 'ezra' is here twice"),
    (entry("{host: h}", "no"), 3, "wizards", "the key no reads as a yes/no value"),
    (entry("{host: h}", "fa-x"), 3, "wizards.fa-x.user", "would be an account of fleet-agent"),
    # TLS
    (entry("{host: h, tls: maybe}"), 3, "wizards.w.tls", "must be true or false, is 'maybe'"),
    (entry("{host: h, tls: on}"), 3, "wizards.w.tls", "must be true or false, is a yes/no value"),
    (entry("{host: h, tls: true, health_endpoint: 'http://h.example.org/health'}"), 3,
     "wizards.w.health_endpoint", "says http://, and this wizard speaks TLS"),
    ("tls: true\n" + entry("{host: h, health_endpoint: 'HTTP://h.example.org/health'}"), 4,
     "wizards.w.health_endpoint", "says http://, and this wizard speaks TLS"),
    ("tls: 1\n" + entry("{host: h}"), 1, "tls", "must be true or false"),
    # keys
    (entry("{hots: h, host: h}"), 3, "wizards.w.hots", "unknown key"),
    (entry("{host: h, host: i}"), 3, "wizards.w", "the key 'host' is here twice"),
    (entry("{role: worker}"), 3, "wizards.w.host", "is missing"),
    (entry("{host: h, role: manager}"), 3, "wizards.w.role", "must be orchestrator, standby or"),
    (entry("{host: h, model: no}"), 3, "wizards.w.model", "must be text, no reads as a yes/no"),
    (entry("{host: h, model: 1.10}"), 3, "wizards.w.model", "must be text, 1.10 reads as a number"),
    (entry("{host: h, region: }"), 3, "wizards.w.region", "has no value"),
    (entry("{host: h, region: [eu]}"), 3, "wizards.w.region", "must be text, is a list"),
    (entry("h"), 3, "wizards.w", "must be a mapping, is 'h'"),
    # hosts, addresses, URLs
    (entry("{host: -oProxyCommand=x}"), 3, "wizards.w.host", "begins with a dash"),
    (entry("{host: a b}"), 3, "wizards.w.host", "'a b' is no host"),
    (entry('{host: "a\\nb"}'), 3, "wizards.w.host", "without control characters"),
    (entry('{host: "h:22"}'), 3, "wizards.w.host", "'h:22' names a port"),
    (entry("{host: 0.0.0.0}"), 3, "wizards.w.host", "not the address of one machine"),
    (entry("{host: [a, b]}"), 3, "wizards.w.host", "must be text, is a list"),
    (entry("{host: w.example.org}"), 3, "wizards.w.listen.address",
     "a socket can't be bound to a name, and the host is one (w.example.org)"),
    (entry("{host: w.example.org, listen: {port: 1}}"), 3, "wizards.w.listen.address",
     "is missing"),
    (entry("{host: w.example.org, health_endpoint: 'http://w.example.org/health'}"), 3,
     "wizards.w.listen.address", "is missing"),
    (entry("{host: w.example.org, health_endpoint: 'http://127.0.0.1:8646/health'}"), 3,
     "wizards.w.listen.address", "is missing"),
    (entry("{host: h, health_endpoint: ftp://h/}"), 3, "wizards.w.health_endpoint", "no http URL"),
    (entry("{host: h, health_endpoint: 'http://h:99999/health'}"), 3, "wizards.w.health_endpoint",
     "is no URL"),
    (entry("{host: h, health_endpoint: 'http://h:8646'}"), 3, "wizards.w.health_endpoint",
     "names no path"),
    (entry("{host: h, listen: {address: h}}"), 3, "wizards.w.listen.address", "is no IP address"),
    (entry("{host: h, listen: {port: 0}}"), 3, "wizards.w.listen.port", "must lie between 1 and"),
    (entry("{host: h, listen: {prot: 1}}"), 3, "wizards.w.listen.prot", "unknown key"),
    (entry("{host: 192.0.2.1}"), 3, "wizards.w.listen",
     "w has the same address and port as ezra: 192.0.2.1 port 8646"),
    (entry("{host: h, listen: {address: 192.0.2.1}}"), 3, "wizards.w.listen",
     "w has the same address and port as ezra"),
    (entry("{host: 192.0.2.1, listen: {address: 0.0.0.0}}"), 3, "wizards.w.listen",
     "w has the same address and port as ezra: 0.0.0.0 port 8646"),
    (entry("{host: 192.0.2.1, listen: {port: 9876}}"), 3, "wizards.w.listen",
     "w has the same address and port as the deploy hook of ezra"),
    # accounts and capabilities
    (entry("{host: h, user: Ezra}"), 3, "wizards.w.user", "'Ezra' is no user name"),
    (entry("{host: h}", "node"), 3, "wizards.node", "is a directory of fleet-agent's own"),
    (entry("{host: h}", "fleet"), 3, "wizards.fleet.user", "would be an account of fleet-agent"),
    (entry("{host: h, user: me, ssh: {user: me}}"), 3, "wizards.w.user", "as good as root"),
    (entry("{host: h, user: fa-ezra}"), 3, "wizards.w.user", "is an account of fleet-agent"),
    (entry("{host: h, capabilities: a}"), 3, "wizards.w.capabilities", "must be a list, is 'a'"),
    (entry("{host: h, capabilities: [a, a]}"), 3, "wizards.w.capabilities[1]", "is here twice"),
    (entry("{host: h, capabilities: [on]}"), 3, "wizards.w.capabilities[0]", "on reads as"),
    (entry("{host: h, subscriptions: [a, a]}"), 3, "wizards.w.subscriptions[1]", "is here twice"),
    (entry("{host: h, subscriptions: [a b]}"), 3, "wizards.w.subscriptions[0]", "is no topic"),
    (entry("{host: h, subscription: [a]}"), 3, "wizards.w.subscription", "unknown key"),
    # soul, files, state
    (entry("{host: h, soul: ../x}"), 3, "wizards.w.soul", "'../x' leaves the repository"),
    (entry("{host: h, soul: /etc/x}"), 3, "wizards.w.soul", "is not a path of this repository"),
    (entry("{host: h, soul: {place: /a}}"), 3, "wizards.w.soul.file", "is missing"),
    (entry("{host: h, soul: {file: a, place: b}}"), 3, "wizards.w.soul.place", "no absolute path"),
    (entry("{host: h, files: [{source: a}]}"), 3, "wizards.w.files[0].place", "is missing"),
    (entry("{host: h, files: {source: a}}"), 3, "wizards.w.files", "must be a list, is a mapping"),
    (entry("{host: h, files: [{source: a, place: /a, mode: 0640}]}"), 3,
     "wizards.w.files[0].mode", "must be text, 0640 reads as a number"),
    (entry("{host: h, files: [{source: a, place: /a, mode: '4755'}]}"), 3,
     "wizards.w.files[0].mode", "'4755' is no mode"),
    (entry("{host: h, files: [{source: a, place: /a, secret: yes}]}"), 3,
     "wizards.w.files[0].secret", "must be true or false"),
    (entry("{host: h, files: [{source: a, place: /etc/sudoers.d/x}]}"), 3,
     "wizards.w.files[0].place", "lies in /etc/sudoers.d"),
    (entry("{host: h, files: [{source: a, place: /a}, {source: b, place: /a}]}"), 3,
     "wizards.w.files[1].place", "/a clashes with /a of wizards.w.files[0].place"),
    (entry("{host: h, files: [{source: a, place: /a/b}, {source: b, place: /a}]}"), 3,
     "wizards.w.files[1].place", "/a clashes with /a/b of wizards.w.files[0].place"),
    (entry("{host: h, soul: {file: a, place: /a}, files: [{source: b, place: /a/b}]}"), 3,
     "wizards.w.files[0].place", "/a/b clashes with /a of wizards.w.soul.place"),
    (entry("{host: h, state: [/m], files: [{source: b, place: /m/b}]}"), 3,
     "wizards.w.files[0].place", "/m/b lies in /m, state of w, which no deploy writes"),
    (entry("{host: h, state: [memories]}"), 3, "wizards.w.state[0]", "is no absolute path"),
    # runtime, handlers, tools, probes
    (entry("{host: h, runtime: {}}"), 3, "wizards.w.runtime", "says neither command nor unit"),
    (entry("{host: h, runtime: {command: [/a], unit: a.service}}"), 3, "wizards.w.runtime",
     "says both command and unit"),
    (entry("{host: h, runtime: {command: [/a], scope: user}}"), 3, "wizards.w.runtime.scope",
     "belongs to unit"),
    (entry("{host: h, runtime: {command: /a -b}}"), 3, "wizards.w.runtime.command",
     "must be a list, no shell reads it"),
    (entry("{host: h, runtime: {command: [a]}}"), 3, "wizards.w.runtime.command",
     "'a' is no absolute path"),
    (entry("{host: h, runtime: {command: [/a, 8080]}}"), 3, "wizards.w.runtime.command[1]",
     "must be text, 8080 reads as a number"),
    (entry("{host: h, runtime: {command: []}}"), 3, "wizards.w.runtime.command", "is empty"),
    (entry("{host: h, runtime: {unit: hermes}}"), 3, "wizards.w.runtime.unit", "no service unit"),
    (entry("{host: h, runtime: {unit: fleet-agent@x.service}}"), 3, "wizards.w.runtime.unit",
     "is a unit of fleet-agent's own"),
    (entry("{host: h, runtime: {unit: a.service, scope: root}}"), 3, "wizards.w.runtime.scope",
     "must be system or user"),
    (entry("{host: h, handlers: {requst: {exec: [/a]}}}"), 3, "wizards.w.handlers.requst",
     "unknown key"),
    (entry("{host: h, handlers: {request: {}}}"), 3, "wizards.w.handlers.request",
     "must say either exec or http"),
    (entry("{host: h, tools: {a b: {exec: [x]}}}"), 3, "wizards.w.tools.a b", "is no tool name"),
    (entry("{host: h, tools: {a: {}}}"), 3, "wizards.w.tools.a.exec", "is missing"),
    (entry("{host: h, tools: {a: {exec: [x], cwd: y}}}"), 3, "wizards.w.tools.a.cwd",
     "no absolute path"),
    (entry("{host: h, tools: {a: {exec: [x], timeout: 0}}}"), 3, "wizards.w.tools.a.timeout",
     "must lie between 0.1 and 86400 seconds, is 0"),
    (entry("{host: h, tools: {a: {exec: [x], input: {a: yes}}}}"), 3, "wizards.w.tools.a.input.a",
     "must be a value that YAML 1.1, 1.2 and JSON agree on"),
    (entry("{host: h, probes: {modle: {openai: 'http://h/v1'}}}"), 3, "wizards.w.probes.modle",
     "unknown key"),
    (entry("{host: h, probes: {canary: {ask: x}}}"), 3, "wizards.w.probes.canary.expect",
     "is missing"),
    # ssh
    (entry("{host: h, ssh: {user: -x}}"), 3, "wizards.w.ssh.user", "is no user name"),
    (entry("{host: h, ssh: {proxy_jump: -oX=y}}"), 3, "wizards.w.ssh.proxy_jump", "begins with a"),
    (entry("{host: h, ssh: {prot: 1}}"), 3, "wizards.w.ssh.prot", "unknown key"),
    # settings and deploy
    (entry("{host: h, settings: {http_body_bytes: 1}}"), 3, "wizards.w.settings.http_body_bytes",
     "must lie between 1024 and 67108864 bytes, is 1"),
    (SMALLEST + "settings: {deploy_forks: 3}\n", 5, "settings.deploy_forks", "unknown key"),
    (SMALLEST + "settings: {http_connections: many}\n", 5, "settings.http_connections",
     "must be a number, is 'many'"),
    (SMALLEST + "deploy: {settel_seconds: 1}\n", 5, "deploy.settel_seconds", "unknown key"),
    (SMALLEST + "deploy: {confirm_seconds: 1}\n", 5, "deploy.confirm_seconds", "must lie between"),
    (SMALLEST + "deploy: {tag: refs/tags/PROD}\n", 5, "deploy.tag", "is a whole ref"),
    (SMALLEST + "deploy: {branch: -x}\n", 5, "deploy.branch", "is no name for a branch"),
    (SMALLEST + "deploy: {repository: 'ext::sh -c x'}\n", 5, "deploy.repository", "has a space"),
    (SMALLEST + "deploy: {hook_port: 8646}\n", 2, "wizards.ezra.listen",
     "the deploy hook of ezra has the same address and port as ezra"),
    (SMALLEST + "unsigned: yes\n", 5, "unsigned", "must be text, yes reads as a yes/no value"),
    (SMALLEST + "unsigned: maybe\n", 5, "unsigned", "must be allow or refuse"),
    (SMALLEST + "fleet: Timmy\n", 5, "fleet", "'Timmy' is no name"),
    (SMALLEST + "setings: {}\n", 5, "setings", "unknown key"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "key", "what"), MISTAKES)
def test_mistake(text: str | bytes, line: int, key: str, what: str) -> None:
    found = mistakes_of(text)
    assert [(at, path) for at, path, _, _ in found] == [(line, key)]
    assert what in found[0][2]
    assert found[0][3], "no mend"


def test_all_mistakes_come_in_one_run_each_with_its_own_line() -> None:
    text = """\
fleet: no
wizards:
  ezra: {hots: 192.0.2.10, role: orchestrator}
  bezalel:
    host: 192.0.2.11
    health_endpoint: nowhere
  bezalel: {host: 192.0.2.12}
  allegro:
    host: 192.0.2.11
    role: orchestrator
setings: {}
"""
    found = mistakes_of(text)
    assert [(line, key) for line, key, _, _ in found] == [
        (1, "fleet"),
        (3, "wizards.ezra.hots"),
        (3, "wizards.ezra.host"),
        (6, "wizards.bezalel.health_endpoint"),
        (7, "wizards"),
        (9, "wizards.allegro.listen"),
        (10, "wizards.allegro.role"),
        (11, "setings"),
    ]


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        (entry("{hots: x, host: h}"), "did you mean 'host'?"),
        (entry("{host: h, role: wroker}"), "did you mean 'worker'?"),
        (entry("{host: w.example.org}"), "say listen: {address: …} with the machine's own address"),
        (entry("{host: h, model: no}"), 'write "no"'),
        (entry("{host: h, runtime: {unit: hermes}}"), "did you mean 'hermes.service'?"),
        (entry('{host: "me@h"}'), "write the user as ssh: {user: …}"),
        (entry('{host: "h:22"}'), "write ssh's port as ssh: {port: …}"),
        (SMALLEST + "setings: {}\n", "did you mean 'settings'?"),
        (SMALLEST + "deploy: {setle_seconds: 1}\n", "did you mean 'settle_seconds'?"),
    ],
)
def test_a_mistake_says_its_mend(text: str, mend: str) -> None:
    assert [found[3] for found in mistakes_of(text)] == [mend]


def test_two_entries_that_differ_in_their_way_in() -> None:
    text = "wizards:\n  a: {host: 192.0.2.1, role: orchestrator, ssh: {port: 22}}\n"
    found = mistakes_of(text + "  b: {host: 192.0.2.1, listen: {port: 1}, ssh: {port: 23}}\n")
    assert [(line, key) for line, key, _, _ in found] == [(3, "wizards.b.ssh")]


def test_a_place_of_another_wizard_on_the_same_node() -> None:
    one = "{host: 192.0.2.1, role: orchestrator, files: [{source: a, place: /a}]}"
    two = "{host: 192.0.2.1, listen: {port: 1}, files: [{source: a, place: /a}]}"
    found = mistakes_of(f"wizards:\n  a: {one}\n  b: {two}\n")
    assert found[0][2] == "/a clashes with /a of wizards.a.files[0].place"
    elsewhere = two.replace("192.0.2.1", "192.0.2.2")
    assert len(parse(f"wizards:\n  a: {one}\n  b: {elsewhere}\n").nodes) == 2


def test_a_password_in_a_url_is_never_repeated() -> None:
    for text in (
        entry("{host: h, health_endpoint: 'http://me:geheim@h:99999/health'}"),
        entry("{host: h, handlers: {request: {http: 'http://me:geheim@h /'}}}"),
        SMALLEST + "deploy: {repository: 'https://me:geheim@git.example.org/a b'}\n",
    ):
        with pytest.raises(RegistryError) as caught:
            parse(text)
        assert "geheim" not in str(caught.value)
        assert len(caught.value.mistakes) == 1


def test_an_error_text_counts_and_names() -> None:
    with pytest.raises(RegistryError) as caught:
        parse(SMALLEST + "setings: {}\n", name="ops/fleet.yaml")
    assert caught.value.what == "the registry has one mistake"
    assert "ops/fleet.yaml:5 setings: unknown key" in str(caught.value)
