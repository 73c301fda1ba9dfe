"""Wires the hook's port into the orchestrator's daemon. Imported there only, as it costs time."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fleet_agent.errors import FleetError
from fleet_agent.forge.rules import HookRules
from fleet_agent.hook.gate import Gate
from fleet_agent.hook.room import HookRoom
from fleet_agent.httpd.loop import Loop
from fleet_agent.httpd.router import Router
from fleet_agent.services.settings import Settings

log = logging.getLogger("fleet_agent.hook")


class HookPort:
    """The hook of one daemon; tag and repository are the settings' of the moment."""

    def __init__(self, loop: Loop, settings: Settings, now: Callable[[], Settings]) -> None:
        self._now = now
        self._gate = Gate(settings.hook.secret_files if settings.hook else ())
        self.failure = ""
        self.reload()
        room = HookRoom(loop, self._gate, self._rules, settings.deploy_socket, settings.limits)
        self.router = Router(room.routes())

    def reload(self) -> None:
        """Read the secrets anew. The gateway must not be down for a broken one: ``failure`` says
        what is wrong, and the secrets that were read before (at a start none) stay in force."""
        try:
            self._gate.load()
        except FleetError as error:
            told = "secrets not taken anew" if self._gate.secrets else "no webhook can be believed"
            self.failure = f"{told}: {error}"
            log.error("%s: %s", self._now().wizard, self.failure)
        else:
            self.failure = ""

    def _rules(self) -> HookRules:
        hook = self._now().hook
        return HookRules(hook.tag, hook.repository or "") if hook else HookRules()
