"""etc/fleet.yaml is valid and has every key of the registry, limits with their defaults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.limits import BY_NAME, Limits
from fleet_agent.registry import parse, schema
from fleet_agent.yamlfile.compose import compose
from fleet_agent.yamlfile.mistakes import Mistakes
from fleet_agent.yamlfile.nodes import Mapping, Node, Sequence

TEXT = (Path(__file__).parents[2] / "etc" / "fleet.yaml").read_text(encoding="utf-8")


def keys(node: Node | None, path: str = "") -> Iterator[str]:
    """Every key path in the file, without numbers of lists."""
    if isinstance(node, Mapping):
        for name, value in node.entries.items():
            below = f"{path}.{name}" if path else name
            yield below
            yield from keys(value, below)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from keys(item, path)


def written() -> set[str]:
    """The key paths of etc/fleet.yaml; names of wizards and tools are replaced by ``*``."""
    node = compose(TEXT.encode(), Mistakes("etc/fleet.yaml", Limits()))
    found = set()
    for path in keys(node):
        parts = path.split(".")
        if parts[0] == "wizards" and len(parts) > 1:
            parts[1] = "*"
        if parts[2:3] == ["tools"] and len(parts) > 3:
            parts[3] = "*"
        if parts[2:3] == ["handlers"] and len(parts) > 3:
            parts[3] = "*"
        found.add(".".join(parts))
    return found


def known() -> Iterator[str]:
    yield from schema.TOP_KEYS
    yield from (f"deploy.{key}" for key in schema.DEPLOY_KEYS)
    places = {
        "": schema.WIZARD_KEYS,
        ".listen": schema.LISTEN_KEYS,
        ".ssh": schema.SSH_KEYS,
        ".soul": schema.SOUL_KEYS,
        ".files": schema.FILE_KEYS,
        ".runtime": schema.RUNTIME_KEYS,
        ".handlers.*": schema.HANDLER_KEYS,
        ".tools.*": schema.TOOL_KEYS,
        ".probes": tuple(schema.PROBE_KEYS),
    }
    for place, names in places.items():
        yield from (f"wizards.*{place}.{name}" for name in names)
    for probe, names in schema.PROBE_KEYS.items():
        yield from (f"wizards.*.probes.{probe}.{name}" for name in names)


def test_it_is_valid() -> None:
    registry = parse.parse(TEXT, name="etc/fleet.yaml")
    assert registry.orchestrator.name == "ezra-primary"


@pytest.mark.parametrize("key", list(known()))
def test_it_has_every_key(key: str) -> None:
    assert key in written()


@pytest.mark.parametrize(("short", "full"), list(schema.deploy_limit_keys().items()))
def test_it_has_every_limit_of_a_deploy_with_its_default_and_meaning(short: str, full: str) -> None:
    limit = BY_NAME[full]
    wanted = f"  {short}: {limit.default:.15g}"
    line = f"{wanted:<34}# {limit.unit}: {limit.help}"
    assert line in TEXT.splitlines(), f"etc/fleet.yaml lacks the line:\n{line}"
