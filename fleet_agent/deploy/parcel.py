"""The parcel of phase ``keys``: for one node the keys of its own wizards, tokens and secret files.

It goes to the node's standard input and nowhere else: not to plan, events, logs or the disk.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

from fleet_agent.deploy import pairkeys, rendering
from fleet_agent.deploy.authority import Authority
from fleet_agent.deploy.keystore import KeyStore, TokenEntry
from fleet_agent.deploy.plan import NodePlan, Plan
from fleet_agent.deploy.rendering import Render
from fleet_agent.errors import ConfigError
from fleet_agent.registry import compiled
from fleet_agent.registry.schema import Registry

VERSION: Final = 1


def build(plan: Plan, node: NodePlan, manifest: Mapping[str, Any], render: Render) -> bytes:
    """The parcel of ``node``, whose release is ``manifest``.

    Raises KeyStoreError, and ConfigError where a secret is not what its digest in the release says.
    """
    store = KeyStore(plan.keys)
    master, tokens = store.master(), store.tokens()
    registry = compiled.read(plan.registry)
    names = [one.name for one in registry]
    value: dict[str, Any] = {"v": VERSION, "epochs": list(plan.key_epochs), "wizards": {}}
    authority = Authority(os.path.join(plan.keys, "tls"))
    for name in node.wizards:
        pairs = pairkeys.pairs_of(master, plan.fleet, plan.key_epochs, name, names)
        value["wizards"][name] = {
            "pairs": pairkeys.as_text(pairs),
            "tokens": [_token(one) for one in tokens if not one.wizards or name in one.wizards],
            "secrets": _secrets(plan, registry, name, manifest, render),
        }
        if tls := _tls(authority, registry, name):
            value["wizards"][name]["tls"] = tls
    return json.dumps(value, separators=(",", ":")).encode()


def _tls(authority: Authority, registry: Registry, name: str) -> dict[str, str]:
    """The CAs that all must know as soon as one wizard speaks TLS, and ``name``'s own pair."""
    if not any(wizard.tls for wizard in registry):
        return {}
    found = {"authorities": authority.bundle()}
    own = authority.credentials(name) if registry.wizard(name).tls else None
    return found if own is None else {**found, "pair": own.key + own.certificate}


def _token(entry: TokenEntry) -> dict[str, str]:
    return {"id": entry.id, "principal": entry.principal, "sha256": entry.sha256}


def _secrets(
    plan: Plan, registry: Registry, name: str, manifest: Mapping[str, Any], render: Render
) -> list[dict[str, Any]]:
    declared = {one["place"]: one["digest"] for one in manifest["wizards"][name].get("secrets", ())}
    found = []
    for entry, data in rendering.secrets_of(plan, registry.wizard(name), render):
        if declared.get(entry.place) != entry.digest:
            raise ConfigError(
                f"{entry.place} is rendered otherwise than in preflight",
                where=f"wizards.{name}.files",
                mend="a template must give the same text each time: no time, no random number",
            )
        found.append({"place": entry.place, "content": b64encode(data).decode()})
    return found
