"""fleet.yaml to ``Registry``, or every mistake in it at once. Needs PyYAML.

Nodes of the fleet never come here: they read what ``registry.compiled`` wrote.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from fleet_agent.limits import Limits
from fleet_agent.registry import rules, schema
from fleet_agent.registry.entry import Entry, read_entry, read_limit, read_settings
from fleet_agent.registry.schema import DeployRules, Registry
from fleet_agent.registry.source import FILE
from fleet_agent.registry.sources import check_sources
from fleet_agent.registry.together import check_together, orchestrators
from fleet_agent.registry.uncollected import Uncollected
from fleet_agent.yamlfile.compose import compose, read_file
from fleet_agent.yamlfile.mistakes import Mistake, Mistakes, MistakesError
from fleet_agent.yamlfile.nodes import Node
from fleet_agent.yamlfile.spot import Fields, Spot

_SMALLEST: Final = (
    "the smallest registry is wizards: {ezra: {host: 192.0.2.10, role: orchestrator}}"
)


class RegistryError(MistakesError):
    """The registry has mistakes; ``mistakes`` names each with file, line, key and mend."""

    title = "the registry is wrong"


def load(path: str, *, sources: bool = True) -> Registry:
    """The registry in the file ``path``; its folder is the fleet-ops repository.

    With ``sources``, the souls and files that it names must lie there. Raises RegistryError, also
    when the file can't be read.
    """
    mistakes = Mistakes(path, Limits())
    repository = os.path.dirname(os.path.abspath(path)) if sources else None
    with Uncollected():
        return _registry(read_file(path, mistakes), mistakes, repository)


def parse(text: str | bytes, name: str = FILE, repository: str | None = None) -> Registry:
    """The registry in ``text``; ``name`` is the file's name in mistakes.

    With ``repository``, a folder, souls and files must lie in it. Raises RegistryError.
    """
    mistakes = Mistakes(name, Limits())
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    with Uncollected():
        return _registry(compose(data, mistakes), mistakes, repository)


def _registry(node: Node | None, mistakes: Mistakes, repository: str | None) -> Registry:
    registry = None
    if node is not None:
        fields = Spot(node, "", mistakes).fields(schema.TOP_KEYS)
        if fields is not None:
            registry = _top(fields, mistakes, repository)
    if mistakes.count or registry is None:
        raise _error(mistakes)
    return registry


def _error(mistakes: Mistakes) -> RegistryError:
    found: tuple[Mistake, ...] = mistakes.all()
    number = "one mistake" if mistakes.count == 1 else f"{mistakes.count} mistakes"
    return RegistryError(f"the registry has {number}", found)


def _top(fields: Fields, mistakes: Mistakes, repository: str | None) -> Registry:
    name = at.read(rules.name) if (at := fields.at("fleet")) else None
    unsigned = at.choice(("allow", "refuse")) if (at := fields.at("unsigned")) else None
    tls = bool(at.flag()) if (at := fields.at("tls")) else False
    deploy = _deploy(fields.at("deploy"))
    entries = _entries(fields, read_settings(fields.at("settings")), tls)
    if entries is not None:
        _count_orchestrators(fields, entries, mistakes)
        check_together(entries, deploy.hook_port)
        if repository is not None:
            check_sources(entries, repository)
    return Registry(
        fleet=name or schema.DEFAULT_FLEET,
        wizards=tuple(entry.wizard for entry in _one_way_in(entries or [])),
        deploy=deploy,
        unsigned=unsigned == "allow",
    )


def _entries(fields: Fields, common: Mapping[str, float], tls: bool) -> list[Entry] | None:
    """The entries of ``wizards:``; None when there are none to look at."""
    spot = fields.need("wizards", _SMALLEST)
    wizards = spot.fields() if spot else None
    if spot is None or wizards is None:
        return None
    if not len(wizards):
        spot.wrong("has no wizard", _SMALLEST)
        return None
    found = []
    for name, one in wizards:
        one.judged(rules.wizard, name)
        entry = read_entry(name, one, common, tls=tls)
        if entry is not None:
            found.append(entry)
    return found


def _count_orchestrators(fields: Fields, entries: list[Entry], mistakes: Mistakes) -> None:
    found = orchestrators(entries)
    if not found:
        fields.wrong("wizards", "no wizard is the orchestrator", "give one role: orchestrator")
    for extra in found[1:]:
        what = f"a second orchestrator; the first is {found[0].wizard.name}"
        extra.fields.wrong("role", what, "make it a standby or a worker")


def _one_way_in(entries: list[Entry]) -> list[Entry]:
    """What one entry says of ssh holds for the host, so for the others on it too."""
    said = {entry.wizard.host: entry.wizard.ssh for entry in entries if "ssh" in entry.fields}
    return [
        entry._replace(wizard=entry.wizard._replace(ssh=said[entry.wizard.host]))
        if entry.wizard.host in said and "ssh" not in entry.fields
        else entry
        for entry in entries
    ]


def _deploy(spot: Spot | None) -> DeployRules:
    limit_names = schema.deploy_limit_keys()
    fields = spot.fields((*schema.DEPLOY_KEYS, *limit_names)) if spot else None
    if fields is None:
        return DeployRules()
    limits: dict[str, float] = {}
    for short, full in limit_names.items():
        if (at := fields.at(short)) is not None:
            read_limit(full, at, limits)
    default = DeployRules()
    port = at.whole(1, 65535) if (at := fields.at("hook_port")) else None
    return DeployRules(
        repository=at.read(rules.repository) if (at := fields.at("repository")) else None,
        tag=(at.read(rules.tag) if (at := fields.at("tag")) else None) or default.tag,
        branch=(at.read(rules.git_ref) if (at := fields.at("branch")) else None) or default.branch,
        hook_port=port or default.hook_port,
        limits=limits,
    )
