"""Which repository, tag and branch the fleet deploys from, read anew for each deploy.

From the current release's registry; before the first release from what bootstrap wrote.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fleet_agent.deploy.paths import DeployPaths
from fleet_agent.errors import ConfigError
from fleet_agent.forge import refs
from fleet_agent.forge.rules import HookRules
from fleet_agent.limits import Limits


@dataclass(frozen=True, slots=True)
class Rules:
    """``tag`` is a name or an fnmatch pattern; its commit must lie on ``branch``."""

    repository: str
    tag: str = "PROD"
    branch: str = "main"
    limits: Limits = field(default_factory=Limits)

    @property
    def hook(self) -> HookRules:
        """The part that the hook judges by."""
        return HookRules(self.tag, self.repository)


def read(paths: DeployPaths) -> Rules:
    """The rules in force. Raises ConfigError when they are missing or wrong."""
    first = _object(paths.first)
    compiled = os.path.join(paths.current, "registry.json")
    registry = _object(compiled)
    if registry is None:
        if first is not None:
            return parse(first, paths.first)
        raise ConfigError(
            "nothing says which repository this fleet deploys from",
            where=paths.first,
            mend="run fleet-agent bootstrap",
        )
    said = registry.get("deploy")
    rules = parse(said if isinstance(said, dict) else {}, compiled)
    if rules.repository or first is None:
        return rules
    # A fleet.yaml need not name its own repository: it is the one that bootstrap was given.
    return replace(rules, repository=parse(first, paths.first).repository)


def _object(path: str) -> dict[str, Any] | None:
    try:
        with open(path, encoding="utf-8") as file:
            said = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot be read: {error}", where=path) from error
    if not isinstance(said, dict):
        raise ConfigError("is not a JSON object", where=path)
    return said


def parse(said: Mapping[str, Any], where: str) -> Rules:
    """The rules in ``said``. Raises ConfigError."""
    repository = said.get("repository") or ""
    tag, branch = said.get("tag") or "PROD", said.get("branch") or "main"
    limits = said.get("limits") or {}
    if not isinstance(repository, str) or not isinstance(limits, dict):
        raise ConfigError("repository must be a text, limits a mapping", where=where)
    if repository.startswith("-"):
        raise ConfigError("repository cannot begin with a dash", where=where)
    if not isinstance(branch, str) or not refs.is_ref_name(branch):
        raise ConfigError(f"branch {branch!r} cannot be a branch's name", where=where)
    if not isinstance(tag, str) or not tag or tag.startswith("-"):
        raise ConfigError(f"tag {tag!r} cannot be a tag's name or pattern", where=where)
    return Rules(repository, tag, branch, Limits(limits))
