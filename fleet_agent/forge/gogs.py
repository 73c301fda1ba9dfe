"""Gogs: its headers. Seen with Gogs 0.11.91: a pushed tag comes as ``create`` and nothing else."""

from __future__ import annotations

from typing import Final

from fleet_agent.forge.scheme import Scheme
from fleet_agent.wire import Forge

GOGS: Final = Scheme(Forge.GOGS, prefix="Gogs", twins=False)
