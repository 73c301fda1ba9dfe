"""Which code fleet-deploy runs: that of the orchestrator's current release, once there is one.

It starts from the installed package, hands over to the release, and becomes the next one between
two deploys. Code that can't even start is not handed over to: it could not be mended.
"""

from __future__ import annotations

import glob
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import fleet_agent
from fleet_agent import proc
from fleet_agent.deploy.paths import DeployPaths

_log = logging.getLogger("fleet_agent.deploy")

PROBE: Final = "--probe"
# The unit that this process was started from, with its drop-ins.
UNIT: Final = "/etc/systemd/system/fleet-deploy.service"
_PROBE_SECONDS: Final = 20.0
# The interpreter is the installed one's, as PyYAML and ansible-core lie beside it.
_ENTRY: Final = "__main__.py"


def own_code() -> str:
    """The directory whose ``fleet_agent`` this process runs."""
    return os.path.dirname(os.path.dirname(os.path.realpath(fleet_agent.__file__)))


def package() -> str:
    """The ``fleet_agent`` package that this process runs."""
    return os.path.join(own_code(), "fleet_agent")


class Handover:
    """Looks at what is current; remembers which code was tried in vain."""

    def __init__(
        self, paths: DeployPaths, own: str, environment: Mapping[str, str], unit: str = UNIT
    ) -> None:
        self._paths = paths
        self._unit = unit
        self._started_by = _text_of(unit)
        self._next: str | None = None
        self._own = own
        self._environment = environment
        self._in_vain = ""

    def successor(self) -> str | None:
        """The current release's code, if it is other code than ours and can start.

        Compared by its place: a release that nobody runs from may be removed.
        """
        self._next = None
        code = os.path.join(os.path.realpath(self._paths.current), "code")
        if code in (self._own, self._in_vain) or not os.path.isfile(os.path.join(code, _ENTRY)):
            return None
        try:
            proc.run(
                [*command(code), PROBE],
                timeout_seconds=_PROBE_SECONDS,
                env=self._environment,
                cwd="/",
            )
        except proc.ProcessError as error:
            _log.error("fleet-deploy: the current release's code cannot take over: %s", error)
            self._in_vain = code
            return None
        self._next = code
        return code

    def stale(self) -> bool:
        """Whether the current release's code should take over."""
        return self.successor() is not None

    def in_place(self) -> str | None:
        """The successor found last, if this very process may become it.

        Not where its unit has changed meanwhile: only a new start brings that into force.
        """
        return self._next if _text_of(self._unit) == self._started_by else None


def _text_of(unit: str) -> tuple[bytes | None, ...]:
    """A unit file and its drop-ins, as they are now; None for what can't be read."""
    return tuple(_read(path) for path in (unit, *sorted(glob.glob(f"{unit}.d/*.conf"))))


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as source:
            return source.read()
    except OSError:
        return None


def command(code: str) -> list[str]:
    """The start of a command line that runs ``deploy-service`` from ``code``."""
    return [sys.executable, "-I", code, "deploy-service"]


def become(code: str, words: Sequence[str]) -> None:
    """Replace this process by ``code``'s. Its pid, descriptors and environment stay."""
    argv = [*command(code), *words]
    os.execv(argv[0], argv)  # noqa: S606 (no shell, our own code)
