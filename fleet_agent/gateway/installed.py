"""Which release this process runs from, and which one is installed now.

Only reads: ``current`` and manifests. Resolved once for what runs, anew each time for the rest.
"""

from __future__ import annotations

import json
import os
from typing import Final

from fleet_agent.errors import FleetError

_MANIFEST: Final = "manifest.json"


class ReleaseError(FleetError):
    """A release that can't be read: no manifest, or one without this wizard."""

    title = "the release cannot be read"


class Installed:
    """The releases below ``home`` (``/opt/fleet-agent``) as one wizard sees them.

    ``running`` is the wizard's input digest in the release directory that the process started
    from, ``running_id`` that release's name.
    """

    def __init__(self, home: str, started_from: str, wizard: str) -> None:
        self._current = os.path.join(home, "current")
        self._wizard = wizard
        self.running_id = os.path.basename(started_from)
        self.running = input_digest(started_from, wizard)
        self._seen = ("", "", "")  # the link's target, its id, its input digest

    def now(self) -> tuple[str, str]:
        """Name and input digest of the release that is installed. Raises ReleaseError."""
        try:
            target = os.readlink(self._current)
        except OSError as error:
            raise ReleaseError(f"is no link: {error.strerror}", where=self._current) from error
        if self._seen[0] != target:
            release = os.path.join(os.path.dirname(self._current), target)
            name = os.path.basename(target.rstrip("/"))
            self._seen = (target, name, input_digest(release, self._wizard))
        return self._seen[1:]


def resolve(home: str) -> str:
    """The directory that ``current`` below ``home`` means. Raises ReleaseError."""
    current = os.path.join(home, "current")
    release = os.path.realpath(current)
    if not has_manifest(release):
        raise ReleaseError(
            "no release is installed", where=current, mend="deploy one, or use serve --config"
        )
    return release


def has_manifest(release: str) -> bool:
    """Whether the directory ``release`` looks like one."""
    return os.path.isfile(os.path.join(release, _MANIFEST))


def input_digest(release: str, wizard: str) -> str:
    """What the manifest of ``release`` says that ``wizard`` is made of. Raises ReleaseError."""
    path = os.path.join(release, _MANIFEST)
    try:
        with open(path, "rb") as file:
            value = json.load(file)["wizards"][wizard]["input"]
    except OSError as error:
        raise ReleaseError(f"cannot be read: {error.strerror}", where=path) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ReleaseError(f"has no input digest of {wizard}", where=path) from error
    if not isinstance(value, str):
        raise ReleaseError(f"has no input digest of {wizard}", where=path)
    return value
