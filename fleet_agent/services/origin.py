"""Where a daemon's settings and registry come from: a release on a node, or a person's file.

Reads only; what changes on a reload is decided in ``agent``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

import fleet_agent
from fleet_agent.errors import ConfigError
from fleet_agent.gateway.installed import Installed, has_manifest, resolve
from fleet_agent.httpd.answer import json_response
from fleet_agent.registry.compiled import load, public, read
from fleet_agent.registry.schema import Registry
from fleet_agent.services.settings import (
    Settings,
    SoulSettings,
    read_file,
    read_release,
    wizard_name,
)

HOME: Final = "opt/fleet-agent"
_RELEASES: Final = "releases"
# The unit's drop-in shows the folder of the soul's place here, and beside it the file itself,
# read-only: the daemon's own user may not look into the home of the wizard's.
_SOUL_VIEW: Final = "soul"
_SOUL_FILE_VIEW: Final = "soul.file"


class Fleet(NamedTuple):
    """The registry, and its public part as it is served."""

    registry: Registry
    public_json: bytes


class Origin(Protocol):
    """What ``agent`` asks. All methods raise FleetError."""

    @property
    def installed(self) -> Installed | None:
        """The releases of this node; None outside of a fleet."""

    @property
    def release(self) -> str | None:
        """The directory of the release that code and settings are of; None outside of a fleet."""

    def settings(self) -> Settings:
        """The settings as they are now."""

    def fleet(self, settings: Settings) -> Fleet:
        """The registry as it is now."""

    def soul_views(self, soul: SoulSettings, run_dir: str) -> tuple[str, ...]:
        """The paths by which the soul can be seen, the best one first."""


class ReleaseOrigin:
    """A wizard of a node. The release is resolved once: code, settings and seal belong together.

    Only the registry is taken from whatever release is installed when it is asked for.
    """

    def __init__(self, home: str, release: str, wizard: str) -> None:
        self._home = home
        self._release = release
        self._wizard = wizard
        self.installed: Installed | None = Installed(home, release, wizard)

    @classmethod
    def find(cls, wizard: str, root: str | None) -> ReleaseOrigin:
        """The release that this code lies in, or else the one installed below ``root`` ("/")."""
        code = os.path.dirname(os.path.dirname(os.path.realpath(fleet_agent.__file__)))
        release = os.path.dirname(code)
        releases = os.path.dirname(release)
        home = os.path.dirname(releases)
        inside = os.path.basename(releases) == _RELEASES and has_manifest(release)
        if root is not None or not inside:
            wanted = os.path.join(os.path.realpath(root or "/"), HOME)
            if not inside or home != wanted:
                home, release = wanted, resolve(wanted)
        return cls(home, release, wizard_name(wizard))

    @property
    def release(self) -> str:
        """The directory of the release."""
        return self._release

    def settings(self) -> Settings:
        """The settings that this release gives the wizard."""
        path = os.path.join(self._release, "wizards", self._wizard, "settings.json")
        if not os.path.exists(path):
            raise ConfigError(
                f"the release has no wizard {self._wizard!r}", where=os.path.dirname(path)
            )
        return read_release(path)

    def fleet(self, settings: Settings) -> Fleet:
        """The registry of the release that is installed now."""
        return _fleet(load(os.path.join(resolve(self._home), "registry.json")))

    def soul_views(self, soul: SoulSettings, run_dir: str) -> tuple[str, ...]:
        """The unit's views of the soul's place, or the release's own soul where it has no place."""
        if soul.place is None:
            return (os.path.join(self._release, "wizards", self._wizard, "soul"),)
        folder = os.path.join(run_dir, _SOUL_VIEW)
        if not os.path.isdir(folder):
            return (soul.place,)
        return (
            os.path.join(folder, os.path.basename(soul.place)),
            os.path.join(run_dir, _SOUL_FILE_VIEW),
        )


class FileOrigin:
    """A daemon outside a fleet, or by hand: settings from a YAML file."""

    installed: Installed | None = None
    release: str | None = None

    def __init__(self, path: str) -> None:
        self._path = path

    def settings(self) -> Settings:
        """What the file says now."""
        return read_file(self._path)

    def fleet(self, settings: Settings) -> Fleet:
        """The registry that the settings name (its path is relative to them), or an empty one."""
        if settings.registry is None:
            return _fleet(
                {"v": 1, "fleet": settings.fleet, "unsigned": settings.unsigned, "wizards": []}
            )
        path = os.path.join(os.path.dirname(os.path.abspath(self._path)), settings.registry)
        if path.endswith(".json"):
            return _fleet(load(path))
        from fleet_agent.registry.compiled import compile as compiled
        from fleet_agent.registry.parse import load as parsed

        return _fleet(compiled(parsed(path, sources=False)))

    def soul_views(self, soul: SoulSettings, run_dir: str) -> tuple[str, ...]:
        """The soul's place alone: nothing stands in the way."""
        return (soul.place,) if soul.place else ()


def _fleet(value: Mapping[str, Any]) -> Fleet:
    registry = read(value)
    return Fleet(registry, json_response(200, public(value)).body)
