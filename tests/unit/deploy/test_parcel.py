"""What phase keys brings to a node: its own wizards' keys, and secrets nobody else sees."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.deploy import nodebuild, pairkeys, parcel, tlsnames
from fleet_agent.deploy import plan as plans
from fleet_agent.deploy.authority import Authority, Days
from fleet_agent.deploy.keystore import KeyStore
from fleet_agent.deploy.plan import Plan
from fleet_agent.errors import ConfigError
from fleet_agent.node import keyfiles
from fleet_agent.registry.compiled import compile as compiled
from fleet_agent.registry.parse import parse
from fleet_agent.release.manifest import from_json
from tests.unit.deploy.test_plan import a_plan

REPOSITORY = Path(__file__).parents[3]
SECRET = "sk-very-secret"
REGISTRY = """
fleet: timmy
wizards:
  ezra: {host: 192.0.2.10, role: orchestrator}
  bezalel:
    host: 192.0.2.11
    files:
      - {source: config.yaml, place: /home/bezalel/config.yaml}
      - {source: key.j2, place: /home/bezalel/key, mode: "0600", secret: true}
  allegro: {host: 192.0.2.12}
"""


def render(path: str, values: Mapping[str, Any]) -> str:
    """As far as these templates go, what Ansible does."""
    return Path(path).read_text().replace("{{ key }}", SECRET)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    registry = parse(REGISTRY, "fleet.yaml")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "config.yaml").write_text("model: x\n")
    (tree / "key.j2").write_text("{{ key }}\n")
    store = KeyStore(str(tmp_path / "keys"))
    store.prepare()
    store.create_token("alexander", ["bezalel"], 1.0, "root")
    store.create_token("grace", [], 1.0, "root")
    nodebuild.keep_code(str(REPOSITORY), str(tmp_path))
    return replace(
        a_plan(tmp_path),
        registry=compiled(registry),
        nodes=plans.plan_nodes(registry, {}),
        code=str(REPOSITORY),
        keys=store.directory,
        key_epochs=(2, 1),
    )


def brought(plan: Plan, host: str, how: Any = render) -> dict[str, Any]:
    node = plan.node(host)
    nodebuild.build(plan, node, render)
    data = parcel.build(plan, node, nodebuild.manifest(plan, node), how)
    return dict(json.loads(data))


def test_a_node_gets_the_pairs_of_its_own_wizards_only(plan: Plan) -> None:
    said = brought(plan, "192.0.2.11")
    assert set(said["wizards"]) == {"bezalel"}
    pairs = said["wizards"]["bezalel"]["pairs"]
    assert set(pairs) == {"ezra", "allegro"}
    master = KeyStore(plan.keys).master()
    assert [(one["epoch"], b64decode(one["key"])) for one in pairs["ezra"]] == [
        (epoch, pairkeys.pair_key(master, "timmy", epoch, "ezra", "bezalel")) for epoch in (2, 1)
    ]


def test_without_tls_no_certificate_is_brought(plan: Plan) -> None:
    assert "tls" not in brought(plan, "192.0.2.11")["wizards"]["bezalel"]


def test_certificates_go_to_those_who_speak_tls_and_the_ca_to_all(plan: Plan) -> None:
    text = REGISTRY.replace("host: 192.0.2.12", "host: 192.0.2.12, tls: true")
    registry = parse(text, "fleet.yaml")
    authority = Authority(f"{plan.keys}/tls")
    authority.prepare("timmy", tlsnames.wanted(registry), Days(), now=time.time())
    speaking = replace(plan, registry=compiled(registry))
    allegro = brought(speaking, "192.0.2.12")["wizards"]["allegro"]["tls"]
    assert allegro["authorities"] == authority.bundle()
    assert "PRIVATE KEY" in allegro["pair"] and "BEGIN CERTIFICATE" in allegro["pair"]
    bezalel = brought(speaking, "192.0.2.11")["wizards"]["bezalel"]["tls"]
    assert bezalel == {"authorities": authority.bundle()}
    node = speaking.node("192.0.2.12")
    manifest = nodebuild.manifest(speaking, node)
    data = parcel.build(speaking, node, manifest, render)
    files = keyfiles.of_parcel(data, from_json(manifest))
    assert [one.kind for one in files if one.kind in (keyfiles.AUTHORITIES, keyfiles.PAIR)] == [
        keyfiles.AUTHORITIES, keyfiles.PAIR,
    ]  # fmt: skip
    left = [path for path in Path(speaking.directory).rglob("*") if path.is_file()]
    assert not any(b"PRIVATE" in path.read_bytes() for path in left if "keys" not in path.parts)


def test_a_token_goes_to_the_wizards_that_are_to_take_it(plan: Plan) -> None:
    for host, name, expected in (
        ("192.0.2.11", "bezalel", {"alexander", "grace"}),
        ("192.0.2.12", "allegro", {"grace"}),
    ):
        tokens = brought(plan, host)["wizards"][name]["tokens"]
        assert {one["principal"] for one in tokens} == expected
        assert all(set(one) == {"id", "principal", "sha256"} for one in tokens)


def test_a_secret_is_in_the_parcel_and_nowhere_on_the_orchestrator_s_disk(
    plan: Plan, tmp_path: Path
) -> None:
    said = brought(plan, "192.0.2.11")
    (secret,) = said["wizards"]["bezalel"]["secrets"]
    assert b64decode(secret["content"]) == f"{SECRET}\n".encode()
    plans.write(plan, str(tmp_path / "plan.json"))
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 10
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []


def test_the_release_keeps_a_keyed_digest_that_follows_the_content(plan: Plan) -> None:
    node = plan.node("192.0.2.11")
    nodebuild.build(plan, node, render)
    before = from_json(nodebuild.manifest(plan, node))
    (secret,) = before.wizards[0].secrets
    assert (secret.place, secret.mode, len(secret.digest)) == ("/home/bezalel/key", 0o600, 32)
    assert [file.place for file in before.wizards[0].files] == ["/home/bezalel/config.yaml"]
    nodebuild.build(plan, node, lambda path, values: "another")
    after = from_json(nodebuild.manifest(plan, node))
    assert after.id != before.id
    assert after.wizards[0].input == before.wizards[0].input, "the daemon is not made of it"


def test_a_secret_that_is_rendered_otherwise_each_time_is_refused(plan: Plan) -> None:
    with pytest.raises(ConfigError, match="otherwise than in preflight") as caught:
        brought(plan, "192.0.2.11", lambda path, values: "x")
    assert SECRET not in str(caught.value)


def test_a_template_s_own_words_do_not_give_a_secret_away(plan: Plan) -> None:
    def broken(path: str, values: Mapping[str, Any]) -> str:
        raise ValueError(f"can't make {SECRET} of it")

    with pytest.raises(ConfigError, match="ValueError") as caught:
        brought(plan, "192.0.2.11", broken)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_node_understands_what_is_brought(plan: Plan) -> None:
    node = plan.node("192.0.2.11")
    nodebuild.build(plan, node, render)
    manifest = nodebuild.manifest(plan, node)
    files = keyfiles.of_parcel(parcel.build(plan, node, manifest, render), from_json(manifest))
    assert [(file.place, f"{file.mode:04o}", file.user, file.group) for file in files] == [
        ("/etc/fleet-agent/bezalel/keys/pairs.json", "0600", "fa-bezalel", "fa-bezalel"),
        ("/etc/fleet-agent/bezalel/keys/tokens.json", "0600", "fa-bezalel", "fa-bezalel"),
        ("/etc/fleet-agent/bezalel/keys/token", "0640", "fa-bezalel", "bezalel"),
        ("/home/bezalel/key", "0600", "bezalel", "bezalel"),
    ]
    assert SECRET not in repr(files)
