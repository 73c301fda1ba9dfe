"""The registry as JSON: nothing is lost, the public part says nothing private, bad data is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.errors import ConfigError
from fleet_agent.registry import compiled, lookup, schema
from fleet_agent.registry.parse import parse
from fleet_agent.registry.schema import (
    DeployRules,
    FileSpec,
    Handler,
    Listen,
    Registry,
    Runtime,
    Soul,
    Ssh,
    Tool,
    Wizard,
)
from fleet_agent.wire import Role

text = st.text(max_size=12)
maybe = st.none() | text
argv = st.lists(text, min_size=1, max_size=3).map(tuple)
port = st.integers(1, 65535)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | text,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(text, inner, max_size=2),
    max_leaves=5,
)


def few(values: st.SearchStrategy[object]) -> st.SearchStrategy[Mapping[str, object]]:
    return st.dictionaries(text, values, max_size=2)


runtimes = st.builds(Runtime, command=st.none() | argv, unit=maybe, scope=text)
tools = st.builds(Tool, argv, maybe, st.none() | st.floats(0, 9), st.none() | few(json_values))
wizards = st.builds(
    Wizard,
    name=text,
    host=text,
    role=st.sampled_from(Role),
    region=text,
    model=text,
    health_endpoint=text,
    listen=st.builds(Listen, text, port),
    capabilities=st.lists(text, max_size=3).map(tuple),
    user=text,
    soul=st.none() | st.builds(Soul, text, maybe),
    files=st.lists(st.builds(FileSpec, text, text, st.integers(0, 0o777), st.booleans())).map(
        tuple
    ),
    state=st.lists(text, max_size=2).map(tuple),
    runtime=st.none() | runtimes,
    handlers=few(st.builds(Handler, st.none() | argv, maybe)),
    tools=few(tools),
    probes=few(st.dictionaries(text, text, max_size=2)),
    ssh=st.builds(Ssh, maybe, port, maybe),
    settings=few(st.floats(0, 9)),
    subscriptions=st.lists(text, max_size=2).map(tuple),
)
registries = st.builds(
    Registry,
    fleet=text,
    wizards=st.lists(wizards, max_size=3).map(tuple),
    deploy=st.builds(DeployRules, maybe, text, text, port, few(st.floats(0, 9))),
    unsigned=st.booleans(),
)

TWO = """\
fleet: timmy
deploy: {repository: git@git.example.org:ops/fleet.git}
wizards:
  ezra: {host: 192.0.2.9, role: orchestrator, capabilities: [a, b], state: [/home/private-memories]}
  bezalel: {host: 192.0.2.8, capabilities: [b], tools: {private-tool: {exec: [private-program]}}}
"""


@given(registries)
def test_what_is_compiled_is_read_back_equal(registry: Registry) -> None:
    assert compiled.read(json.loads(json.dumps(compiled.compile(registry)))) == registry


def test_a_parsed_registry_is_read_back_equal() -> None:
    registry = parse(TWO)
    assert compiled.read(compiled.compile(registry)) == registry


def test_every_field_of_a_wizard_is_compiled() -> None:
    whole = Wizard(
        "w", "h", Role.WORKER, "r", "m", "u", Listen("h", 1), ("c",), "w", Soul("s"),
        (FileSpec("a", "/a"),), ("/s",), Runtime(("/a",)), {"request": Handler(("/a",))},
        {"t": Tool(("a",))}, {"p": {"a": "b"}}, Ssh(), {"message_hops": 1}, ("lessons",), True,
    )  # fmt: skip
    assert set(compiled.entry(whole)) == set(Wizard._fields)
    assert set(schema.WIZARD_KEYS) == set(Wizard._fields) - {"name"}


def test_peers_learn_who_speaks_tls() -> None:
    registry = parse(TWO.replace("host: 192.0.2.8,", "host: 192.0.2.8, tls: true,"))
    read = compiled.read(compiled.public(compiled.compile(registry)))
    assert [(one.tls, one.health_endpoint.partition(":")[0]) for one in read] == [
        (False, "http"), (True, "https"),
    ]  # fmt: skip
    assert compiled.public_entry(read.wizard("bezalel"))["tls"] is True


def test_the_public_part_has_what_others_need_and_nothing_else() -> None:
    registry = parse(TWO)
    public = compiled.public(compiled.compile(registry))
    assert "private" not in json.dumps(public)
    assert "git@" not in json.dumps(public)
    read = compiled.read(public)
    assert read.fleet == "timmy"
    assert [wizard.name for wizard in lookup.find(read, "b")] == ["ezra", "bezalel"]
    assert read.wizard("bezalel").health_endpoint == "http://192.0.2.8:8646/health"


def test_keys_of_a_newer_version_are_ignored() -> None:
    data = compiled.compile(parse(TWO))
    data["later"] = 1
    data["wizards"][0]["later"] = 1
    assert compiled.read(data) == parse(TWO)


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        None,
        {"v": 2},
        {"v": 1, "fleet": "x", "unsigned": False, "wizards": [{}]},
        {"v": 1, "fleet": "x", "unsigned": False, "wizards": 3},
        {"v": 1, "fleet": "x", "unsigned": False, "wizards": [{"name": "a", "listen": 3}]},
    ],
)
def test_something_else_is_told(data: Mapping[str, object]) -> None:
    with pytest.raises(ConfigError, match="compiled registry"):
        compiled.read(data)


def test_reading_on_a_node_needs_neither_yaml_nor_dataclasses() -> None:
    code = (
        "import sys, fleet_agent.registry.compiled, fleet_agent.registry.lookup\n"
        "import fleet_agent.registry.source\n"
        "print([name for name in ('yaml', 'dataclasses', 'inspect', 'urllib', 'ipaddress')"
        " if name in sys.modules])"
    )
    path = repr(sys.path)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:] = {path}\n{code}"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[]\n"
