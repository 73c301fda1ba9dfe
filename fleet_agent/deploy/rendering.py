"""What a wizard's files hold: read from the checkout, templates rendered, secrets told apart.

Rendering itself is the caller's (Ansible's own templating). A secret is rendered twice, for its
digest in preflight and for its content in phase ``keys``, so that it lies nowhere between.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from typing import Any, Final

from fleet_agent.deploy.keystore import KeyStore
from fleet_agent.deploy.pairkeys import secret_digest
from fleet_agent.deploy.plan import Plan
from fleet_agent.errors import ConfigError
from fleet_agent.registry.schema import FileSpec, Wizard
from fleet_agent.release.manifest import SecretEntry

# A template's path and the values it may use, to its text.
Render = Callable[[str, Mapping[str, Any]], str]
TEMPLATE_ENDING: Final = ".j2"


def content(plan: Plan, wizard: str, file: FileSpec, render: Render) -> bytes:
    """What ``file`` of ``wizard`` is to hold.

    Raises ConfigError naming wizard and file when the source is missing, too large, not plain or
    can't be rendered; for a secret without the template's own words, which may hold it.
    """
    where = f"wizards.{wizard}.files"
    source = file.source
    raw = read_source(plan, source, where)
    if not source.endswith(TEMPLATE_ENDING):
        return raw
    values = {"wizard": _values(plan.registry, wizard), "fleet": plan.fleet}
    try:
        rendered = render(os.path.join(plan.tree, source), values).encode()
    except Exception as error:  # noqa: BLE001 (Ansible raises many kinds)
        why = type(error).__name__ if file.secret else str(error)
        raise ConfigError(
            f"{source} can't be rendered: {why}", where=where, mend="mend the template"
        ) from (None if file.secret else error)
    most = int(plan.limits["deploy_file_bytes"])
    if len(rendered) > most:
        raise ConfigError(f"{source} is {len(rendered)} bytes rendered, limit {most}", where=where)
    return rendered


def secrets_of(plan: Plan, wizard: Wizard, render: Render) -> list[tuple[SecretEntry, bytes]]:
    """The secret files of ``wizard``, each with its content. Raises ConfigError, KeyStoreError."""
    secret = [file for file in wizard.files if file.secret]
    if not secret:
        return []
    master = KeyStore(plan.keys).master()
    found = []
    for file in secret:
        data = content(plan, wizard.name, file, render)
        digest = secret_digest(master, plan.fleet, wizard.name, file.place, data)
        found.append((SecretEntry(file.place, file.mode, digest), data))
    return found


def secret_entries(plan: Plan, wizard: Wizard, render: Render) -> tuple[SecretEntry, ...]:
    """What a release keeps of them."""
    return tuple(entry for entry, _ in secrets_of(plan, wizard, render))


def read_source(plan: Plan, source: str, where: str) -> bytes:
    """A plain file of the checkout, which no link may lead out of. Raises ConfigError."""
    most = int(plan.limits["deploy_file_bytes"])
    path = os.path.realpath(os.path.join(plan.tree, source))
    inside = os.path.realpath(plan.tree) + os.sep
    try:
        found = os.stat(path)
    except OSError as error:
        raise ConfigError(
            f"{source}: {error.strerror}", where=where, mend="is it committed?"
        ) from error
    if not path.startswith(inside) or not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"{source} is no plain file of the repository", where=where)
    if found.st_size > most:
        raise ConfigError(f"{source} is {found.st_size} bytes, limit {most}", where=where)
    with open(path, "rb") as file:
        return file.read()


def _values(registry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What a template may say of its wizard: its entry, and its name."""
    wizards = registry["wizards"]
    entry = (
        wizards[name]
        if isinstance(wizards, Mapping)
        else next(item for item in wizards if item["name"] == name)
    )
    return {**entry, "name": name}
