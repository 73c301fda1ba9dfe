"""The secrets that a webhook must be signed with: read from files, at start and at a reload."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from fleet_agent.errors import ConfigError

_MOST_BYTES = 4096


class Gate:
    """The secrets now in force. Two may be valid at a time, so that one can be changed in peace."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files = tuple(files)
        self.secrets: tuple[bytes, ...] = ()

    def load(self) -> None:
        """Read the files anew. Raises ConfigError; what was in force then stays in force.

        A file that does not exist is passed over: a second secret comes and goes.
        """
        found = [_read(path) for path in self._files if os.path.exists(path)]
        if self._files and not found:
            raise ConfigError(
                "none of the webhook's secret files exists",
                where=", ".join(self._files),
                mend="fleet-agent bootstrap makes one",
            )
        self.secrets = tuple(found)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            secret = file.read(_MOST_BYTES + 1).strip()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=path) from error
    if mode & stat.S_IRWXO:
        raise ConfigError("anyone may read this secret", where=path, mend=f"chmod 0640 {path}")
    if not secret or len(secret) > _MOST_BYTES:
        raise ConfigError(
            "holds no secret, or one that is too long", where=path, mend="write one line there"
        )
    return secret
