"""From a checkout to a plan: registry read and checked, pin verified and unpacked, node.pyz built.

Everything that can be refused before a node is touched is refused here. Effects: reads the tree,
writes below the run's directory and the cache of unpacked pins.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleet_agent.deploy import nodebuild, tlsnames
from fleet_agent.deploy import pin as pins
from fleet_agent.deploy.authority import Authority, Days
from fleet_agent.deploy.keystore import KeyStore
from fleet_agent.deploy.paths import DeployPaths
from fleet_agent.deploy.plan import FORWARD, Plan, plan_nodes
from fleet_agent.errors import ConfigError
from fleet_agent.limits import TABLE, Limits
from fleet_agent.registry import compiled
from fleet_agent.registry import parse as registries
from fleet_agent.release import pyz

REGISTRY_FILE = "fleet.yaml"
LAYOUTS_FILE = "layouts.json"
# The sha256 of the node's code that the last verified deploy left on every node.
PYZ_FILE = "node.pyz.sha256"


def prepare(
    *,
    deploy: int,
    commit: str,
    ref: str,
    tree: str,
    directory: str,
    pins_directory: str,
    state_directory: str,
    package: str,
    holder: str,
    nonce: str = "",
    check: bool = False,
) -> Plan:
    """The plan of deploy number ``deploy`` for ``commit``, checked out at ``tree``.

    ``package`` is the directory of the ``fleet_agent`` package that conducts the deploy; the code
    that is deployed is the tree's own pin, unpacked below ``pins_directory``. Raises
    RegistryError with all mistakes of the registry, PinError, ConfigError, or KeyStoreError.
    """
    site = os.path.join(tree, "site.yml")
    if not os.path.isfile(site):
        raise ConfigError(
            "the repository has no site.yml",
            where=site,
            mend="`fleet-agent init` writes one that imports ours",
        )
    registry = registries.load(os.path.join(tree, REGISTRY_FILE))
    limits = deploy_limits(registry.deploy.limits)
    pin = pins.read_pin(Path(tree))
    code = Path(pins_directory) / pin.sha256
    pins.unpack(pin, code, limits)
    nodebuild.keep_code(str(code), directory)
    store = KeyStore(DeployPaths(state=state_directory).keys)
    store.prepare()
    rotation = Authority(DeployPaths(state=state_directory).authority).prepare(
        registry.fleet, tlsnames.wanted(registry), tls_days(limits), now=time.time()
    )
    built = pyz.build(package)
    pyz_path = os.path.join(directory, "node.pyz")
    with open(os.open(pyz_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(built.data)
    return Plan(
        deploy=deploy,
        nonce=nonce or secrets.token_hex(8),
        mode=FORWARD,
        check=check,
        commit=commit,
        ref=ref,
        fleet=registry.fleet,
        holder=holder,
        directory=directory,
        code=str(code),
        tree=tree,
        registry=compiled.compile(registry),
        limits=limits,
        nodes=plan_nodes(registry, read_layouts(state_directory)),
        pyz=pyz_path,
        pyz_sha256=built.sha256,
        pyz_known=built.sha256 == _last_pyz(state_directory),
        keys=store.directory,
        key_epochs=store.epochs().valid,
        rotation=rotation,
    )


def tls_days(limits: Mapping[str, float]) -> Days:
    """For how long certificates are made."""
    return Days(
        authority=limits["deploy_tls_ca_days"],
        certificate=limits["deploy_tls_days"],
        renew=limits["deploy_tls_renew_days"],
    )


def remember_pyz(plan: Plan, state_directory: str) -> None:
    """Keep which code of the nodes ``plan`` left on all of them; only a hint for the next run."""
    with open(os.path.join(state_directory, PYZ_FILE), "w", encoding="ascii") as out:
        out.write(plan.pyz_sha256)


def _last_pyz(state_directory: str) -> str:
    try:
        with open(os.path.join(state_directory, PYZ_FILE), encoding="ascii") as source:
            return source.read(64)
    except FileNotFoundError:
        return ""


def deploy_limits(changed: Mapping[str, object]) -> dict[str, float]:
    """The limits of scope ``deploy`` by name, those that the registry changes changed."""
    every = Limits(changed)
    return {limit.name: every[limit.name] for limit in TABLE if limit.scope == "deploy"}


def read_layouts(state_directory: str) -> Mapping[str, Mapping[str, Any]]:
    """Hosts that are folders on this machine: the demo's. A real orchestrator has no such file."""
    try:
        with open(os.path.join(state_directory, LAYOUTS_FILE), encoding="utf-8") as source:
            layouts: Mapping[str, Mapping[str, Any]] = json.load(source)
    except FileNotFoundError:
        return {}
    return layouts
