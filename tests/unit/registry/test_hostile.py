"""Whatever stands in fleet.yaml, reading it ends in a registry or in a RegistryError."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.registry import schema
from fleet_agent.registry.parse import RegistryError, parse

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


def expect_registry_or_error(text: str | bytes) -> None:
    try:
        registry = parse(text)
    except RegistryError as error:
        assert error.mistakes and all(one.mend for one in error.mistakes)
    else:
        assert registry.orchestrator.host


@given(st.text(max_size=300))
def test_any_text_is_a_registry_or_a_registry_error(text: str) -> None:
    expect_registry_or_error(text)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_registry_or_a_registry_error(data: bytes) -> None:
    expect_registry_or_error(data)


_KEYS = sorted({
    *schema.WIZARD_KEYS, *schema.DEPLOY_KEYS, *schema.LISTEN_KEYS, *schema.SSH_KEYS,
    *schema.SOUL_KEYS, *schema.FILE_KEYS, *schema.RUNTIME_KEYS, *schema.HANDLER_KEYS,
    *schema.TOOL_KEYS, "request", "model", "canary", "openai", "ask", "expect",
})  # fmt: skip
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["/a/b", "a/b", "[::1]", "http://[::1", "http://h:1/x", "a@b:22", "²", "1:²"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["fleet", "settings", "deploy", "unsigned", "x"]), _VALUES),
    st.dictionaries(st.sampled_from(_KEYS), _VALUES),
)
def test_any_values_at_known_keys_are_a_registry_or_a_registry_error(
    top: dict[str, object], entry: dict[str, object]
) -> None:
    import yaml

    data = {"wizards": {"w": {"host": "192.0.2.9", "role": "orchestrator", **entry}}, **top}
    expect_registry_or_error(yaml.safe_dump(data, allow_unicode=True))
    expect_registry_or_error(yaml.safe_dump(data, default_style='"'))


@given(st.data())
def test_a_torn_registry_is_a_registry_or_a_registry_error(data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(FULL)))
    end = data.draw(st.integers(begin, len(FULL)))
    expect_registry_or_error(FULL[:begin] + data.draw(st.text(max_size=5)) + FULL[end:])
