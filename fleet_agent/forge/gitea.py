"""Gitea and Forgejo: their headers. Seen with Gitea 1.17; Forgejo sends the same under its name.

A pushed tag comes as ``push`` (before zeros, after the tag object or the commit) and as
``create`` (short ref). The ``create`` is put together later: it may carry a newer commit.
"""

from __future__ import annotations

from typing import Final

from fleet_agent.forge.scheme import Scheme
from fleet_agent.wire import Forge

GITEA: Final = Scheme(Forge.GITEA, prefix="Gitea", twins=True)
FORGEJO: Final = Scheme(Forge.FORGEJO, prefix="Forgejo", twins=True)
