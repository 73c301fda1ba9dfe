"""Writes the repository's URL into fleet.yaml, where deploys and hook read it, and commits that."""

from __future__ import annotations

import re

from fleet_agent.errors import ConfigError
from fleet_agent.registry import parse
from fleet_agent.registry.schema import Registry
from fleet_agent.setup.fleetops import REGISTRY
from fleet_agent.setup.git import WorkTree


def name_repository(tree: WorkTree, registry: Registry, url: str) -> bool:
    """Let fleet.yaml say ``deploy: {repository: url}``; whether it had to be changed.

    Only added where there is no ``deploy:`` yet: a person's YAML is not rewritten. Raises
    ConfigError where it must be changed by hand, and for a URL with a password in it.
    """
    if registry.deploy.repository == url:
        return False
    if re.search(r"//[^/@]*:[^/@]*@", url):
        raise ConfigError(
            "a repository's URL with a password in it would be committed",
            where="--repository",
            mend="use an ssh URL: bootstrap makes a deploy key for it",
        )
    path = tree.path / REGISTRY
    before = path.read_text("utf-8")
    if re.search(r"^deploy\s*:", before, re.MULTILINE):
        raise ConfigError(
            f"has a deploy: section with {registry.deploy.repository or 'no repository'}",
            where=REGISTRY,
            mend=f"write there by hand: repository: {url}",
        )
    end = "" if before.endswith("\n") else "\n"
    after = f"{before}{end}deploy:\n  repository: {_quoted(url)}\n"
    found = parse.parse(after, REGISTRY)
    if found.deploy.repository != url:
        raise ConfigError("can't be added to automatically", where=REGISTRY,
                          mend=f"add by hand: deploy: {{repository: {_quoted(url)}}}")  # fmt: skip
    path.write_text(after, "utf-8")
    tree.commit([REGISTRY], "Name the repository that deploys come from")
    return True


def _quoted(url: str) -> str:
    """A YAML double-quoted scalar; what needs escapes there is no URL."""
    if not re.fullmatch(r"[\x21-\x7e]+", url) or '"' in url or "\\" in url:
        raise ConfigError(f"{url!r} is no URL", where="--repository")
    return f'"{url}"'
