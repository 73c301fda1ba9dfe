"""Where a node of the demo lies and what its units' processes find around them. Values only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fleet_agent.errors import ConfigError
from fleet_agent.setup.supervisor.command import assignments, environment_file, moved
from fleet_agent.setup.supervisor.unitfile import Unit

UNITS: Final = "etc/systemd/system"
_FOLDERS: Final = (
    ("RuntimeDirectory", "run", "RUNTIME_DIRECTORY"),
    ("StateDirectory", "var/lib", "STATE_DIRECTORY"),
    ("CacheDirectory", "var/cache", "CACHE_DIRECTORY"),
    ("LogsDirectory", "var/log", "LOGS_DIRECTORY"),
    ("ConfigurationDirectory", "etc", "CONFIGURATION_DIRECTORY"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A node's folder: ``root``, the address that READY=1 goes to, and the environment of all."""

    root: str
    notify: str
    env: Mapping[str, str]

    @property
    def units(self) -> str:
        """The directory of unit files."""
        return os.path.join(self.root, UNITS)

    def moved(self, text: str) -> str:
        """``text`` with a node's paths moved below this folder."""
        return moved(text, self.root)

    def environment(self, unit: Unit, invocation: str) -> dict[str, str]:
        """What a process of ``unit`` finds in its environment, its directories made.

        Raises ConfigError when the unit's own lines about it can't be understood.
        """
        env = {**self.env, "INVOCATION_ID": invocation}
        for key, base, variable in _FOLDERS:
            folders = [
                os.path.join(self.root, base, name.partition(":")[0])
                for name in unit.names("Service", key)
            ]
            for folder in folders:
                os.makedirs(folder, mode=0o750, exist_ok=True)
            if folders:
                env[variable] = ":".join(folders)
        if unit.last("Service", "Type") in {"notify", "notify-reload"}:
            env["NOTIFY_SOCKET"] = self.notify
        for value in unit.all("Service", "Environment"):
            for name, text in assignments(value, unit.name).items():
                env[name] = self.moved(text)
        for value in unit.all("Service", "EnvironmentFile"):
            env.update(environment_file(value, self.root))
        credentials = self._credentials(unit)
        if credentials:
            env["CREDENTIALS_DIRECTORY"] = credentials
        return env

    def _credentials(self, unit: Unit) -> str:
        """Copy what ``LoadCredential=`` names to a directory that only this user reads."""
        wanted = unit.all("Service", "LoadCredential")
        if not wanted:
            return ""
        folder = os.path.join(self.root, "run/credentials", unit.name)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        for value in wanted:
            name, _, path = value.partition(":")
            target = os.path.join(folder, name)
            try:
                with open(self.moved(path), "rb") as source:
                    content = source.read()
            except OSError as error:
                raise ConfigError(
                    f"a credential can't be read: {error.strerror}", where=f"{unit.name}: {value}"
                ) from error
            if os.path.exists(target):
                os.unlink(target)
            with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb") as out:
                out.write(content)
        return folder

    def directory(self, unit: Unit) -> str:
        """The working directory of ``unit``."""
        wanted = unit.last("Service", "WorkingDirectory").lstrip("-")
        if not wanted:
            return self.root
        return os.path.expanduser("~") if wanted == "~" else self.moved(wanted)
