"""The rules that a push is judged by: which tag, of which repository. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from fleet_agent.forge.events import Repository

_SCP: Final = re.compile(r"(?:[^/@]+@)?(?P<host>\[[^\]]+\]|[^/:]+):(?P<path>.*)\Z")
_URL: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[^/@]*@)?(?P<host>\[[^\]]*\]|[^/:]*)(?::\d*)?(?P<path>/.*)?\Z", re.I
)


@dataclass(frozen=True, slots=True)
class HookRules:
    """What the hook deploys: ``tag`` is a name or an fnmatch pattern; ``repository`` the URL that
    fleet-deploy fetches from (empty: any repository)."""

    tag: str = "PROD"
    repository: str = ""

    def takes_tag(self, name: str) -> bool:
        """Whether a push of the tag ``name`` deploys. Case matters, as it does to Git."""
        return name == self.tag or fnmatchcase(name, self.tag)

    def takes_repository(self, said: Repository) -> bool:
        """Whether an event of the repository ``said`` is about ours.

        One of its URLs is ours, or its ``owner/name`` is the end of our URL's path: a forge often
        calls itself by another host name than the one that the fleet fetches from.
        """
        if not self.repository:
            return True
        _, path = split(self.repository)
        name = said.full_name.strip("/").lower()
        if name and "/" in name and f"/{path}".endswith(f"/{name}"):
            return True
        return split(self.repository) in [split(url) for url in said.urls if url]


def split(url: str) -> tuple[str, str]:
    """Host and path of a Git URL (also ``git@host:path`` and plain paths), made comparable.

    User and port are left out: ssh and https of one repository differ in them.
    """
    match = _URL.match(url) or (None if url.startswith("/") else _SCP.match(url))
    host, path = (match["host"], match["path"] or "") if match else ("", url)
    return host.lower(), path.strip("/").removesuffix(".git").rstrip("/").lower()
